import json

import pytest

from pipeline.artifact import write_json
from pipeline.config import VocabularySettings
from pipeline.errors import PipelineError
from pipeline.stages.build_vocabulary import run

SETTINGS = VocabularySettings(dataset="d", min_count=2, max_words=3)


def write_captions(path, train):
    captions = {"t": train, "v": ["validation validation"], "s": ["secret secret"]}
    write_json(path, {"captions": captions, "splits": {"train": ["t", "absent"], "val": ["v"], "test": ["s"]}})


def test_words_of_the_training_split_alone(tmp_path):
    write_captions(tmp_path / "captions.json", ["A dog runs away", "a dog, away"])
    run(captions=tmp_path / "captions.json", out=tmp_path / "words.json", settings=SETTINGS)
    found = json.loads((tmp_path / "words.json").read_text())
    assert found == {"words": ["<pad>", "<bos>", "<eos>", "<unk>", "a", "dog"], "max_words": 3}


def test_equal_input_gives_equal_bytes(tmp_path):
    write_captions(tmp_path / "captions.json", ["x y", "y x"])
    for name in ("one.json", "two.json"):
        run(captions=tmp_path / "captions.json", out=tmp_path / name, settings=SETTINGS)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_no_word_at_all_is_said(tmp_path):
    write_captions(tmp_path / "captions.json", ["every word once"])
    with pytest.raises(PipelineError, match=r"no word occurs 2 times in the 1 captions .* lower `min_count`"):
        run(captions=tmp_path / "captions.json", out=tmp_path / "words.json", settings=SETTINGS)

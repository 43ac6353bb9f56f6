import json

import pytest

from pipeline.artifact import write_json
from pipeline.errors import PipelineError
from pipeline.stages.score_akg import cut_down, run
from pipeline.vocabulary import SPECIAL, Vocabulary, split_words

WORDS = Vocabulary((*SPECIAL, "a", "dog", "runs", "its"), max_words=4)


def test_references_are_cut_down():
    assert cut_down(split_words("A dog, it's a fine dog that runs"), WORDS) == "a dog its a"
    assert cut_down(split_words("Hm! A vermilion dog runs."), WORDS) == "a dog"  # cut to four words first
    assert cut_down(["vermilion"], WORDS) == ""


@pytest.fixture
def files(tmp_path):
    captions = {"a": ["The dog runs quickly home."], "b": ["a dog", "vermilion"], "c": ["a dog"]}
    write_json(tmp_path / "references.json", {"captions": captions, "splits": {"test": ["a", "b", "c"]}})
    write_json(tmp_path / "vocabulary.json", {"words": list(WORDS.words), "max_words": 4})
    return tmp_path


def score(files, generated):
    write_json(files / "captions.json", {"captions": generated})
    out = files / "akg_scores.json"
    paths = {name: files / f"{name}.json" for name in ("captions", "references", "vocabulary")}
    run(**paths, split="test", out=out)
    return json.loads(out.read_text())


@pytest.mark.slow
def test_what_is_cut_off_costs_nothing(files):
    scores = score(files, {"a": "dog runs", "b": "a dog"})
    assert (scores["num_videos"], scores["num_covered"]) == (3, 2)
    for metric in ("Bleu_1", "Bleu_2", "METEOR", "ROUGE_L"):
        assert scores["metrics"][metric] == pytest.approx(1, abs=1e-6)


def test_nothing_to_score_is_said(files):
    with pytest.raises(PipelineError, match="none of the 3 videos of split 'test'"):
        score(files, {})

import json

import pytest

from pipeline.artifact import write_json
from pipeline.artifact.vocabulary_file import read_vocabulary
from pipeline.config import VocabularySettings
from pipeline.errors import PipelineError
from pipeline.stages.build_vocabulary import run
from pipeline.vocabulary import EOS

SETTINGS = VocabularySettings(dataset="d", tokenizer="bare", min_count=2, max_words=3)


def write_captions(path, train):
    captions = {"t": train, "v": ["validation validation"], "s": ["secret secret"]}
    write_json(path, {"captions": captions, "splits": {"train": ["t", "absent"], "val": ["v"], "test": ["s"]}})


def test_words_of_the_training_split_alone(tmp_path):
    write_captions(tmp_path / "captions.json", ["A dog runs away", "a dog, away"])
    run(captions=tmp_path / "captions.json", out=tmp_path / "words.json", settings=SETTINGS)
    found = json.loads((tmp_path / "words.json").read_text())
    words = ["<pad>", "<bos>", "<eos>", "<unk>", "a", "dog"]
    assert found == {"words": words, "max_words": 3, "tokenizer": "bare", "spellings": {}}


def test_equal_input_gives_equal_bytes(tmp_path):
    write_captions(tmp_path / "captions.json", ["x y", "y x"])
    for name in ("one.json", "two.json"):
        run(captions=tmp_path / "captions.json", out=tmp_path / name, settings=SETTINGS)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_no_word_at_all_is_said(tmp_path):
    write_captions(tmp_path / "captions.json", ["every word once"])
    with pytest.raises(PipelineError, match=r"no word occurs 2 times in the 1 captions .* lower `min_count`"):
        run(captions=tmp_path / "captions.json", out=tmp_path / "words.json", settings=SETTINGS)


def build(tmp_path, train, **changes):
    write_captions(tmp_path / "captions.json", train)
    settings = SETTINGS.model_copy(update={"min_count": 1, "max_words": 20, **changes})
    run(captions=tmp_path / "captions.json", out=tmp_path / "words.json", settings=settings)
    return json.loads((tmp_path / "words.json").read_text())


def test_words_are_those_of_the_scores(tmp_path, capsys):
    """Words that the scorer reads in no caption are unknown, and others are spelt as it reads them."""
    found = build(tmp_path, ["A man isn't in a T-shirt (AT&T's), y'all."], tokenizer="ptb")
    expected = ["-lrb-", "-rrb-", "'s", "a", "all", "at&t", "in", "is", "man", "n't", "t-shirt"]
    assert sorted(found["words"][4:]) == sorted(expected)
    assert (found["tokenizer"], found["max_words"]) == ("ptb", 20)
    assert found["spellings"] == {"-lrb-": "(", "-rrb-": ")", "at&t": "AT&T"}
    assert "WARNING: 1 words are unknown to the captioner" in (told := capsys.readouterr().err)
    assert told.endswith(": y'\n")


def test_the_default_splits_as_the_scores_do():
    assert VocabularySettings(dataset="d", min_count=2, max_words=3).tokenizer == "ptb"


@pytest.mark.parametrize("tokenizer", ["ptb", "bare"])
def test_captions_without_spaces_are_refused(tmp_path, tokenizer):
    message = r"captions\.json: 2 of 3 training captions put no space .* '\u4e00\u4e2a\u4eba'.*`tokenizer: characters`"
    with pytest.raises(PipelineError, match=message):
        build(tmp_path, ["\u4e00\u4e2a\u4eba", "\u8dd1\u6b65\u3002", "a man runs"], tokenizer=tokenizer)


def test_captions_of_characters(tmp_path):
    found = build(tmp_path, ["\u4e00\u4e2a\u4eba\u5728\u8dd1", "\u4e00\u4e2a\uff0ciPad"], tokenizer="characters")
    assert found["words"][4:] == ["\u4e00", "\u4e2a", "ipad", "\u4eba", "\u5728", "\u8dd1"]
    assert read_vocabulary(tmp_path / "words.json").decode([4, 5, 7, EOS]) == "\u4e00\u4e2a\u4eba"


def test_files_of_before_there_was_a_choice_are_bare(tmp_path):
    write_json(tmp_path / "words.json", {"words": ["<pad>", "<bos>", "<eos>", "<unk>", "isnt"], "max_words": 3})
    assert read_vocabulary(tmp_path / "words.json").tokenizer == "bare"


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"tokenizer": "jieba"}, "`tokenizer: jieba`: expected ptb or bare or characters"), ({"words": [1]}, "no text")],
)
def test_a_file_that_is_no_vocabulary_is_said(tmp_path, changes, message):
    write_json(tmp_path / "words.json", {"words": ["a"], "max_words": 3} | changes)
    with pytest.raises(PipelineError, match=rf"words\.json is no vocabulary .*{message}.* run build_vocabulary again"):
        read_vocabulary(tmp_path / "words.json")

import pytest

from pipeline.report.language import MOST_WORDS, describe_language, lengths_of, reference_lengths


def test_the_language_of_captions():
    captions = {"a": "A dog runs", "b": "a dog runs.", "c": "a cat", "d": ""}
    references = {"a": ["a dog runs fast", "the dog is fast"], "b": ["a dog"], "c": ["a cat sleeps"], "d": []}
    told = describe_language(captions, references)
    assert (told["num"], told["words"]) == (4, 4)
    assert told["lengths"][:4] == [0.25, 0, 0.25, 0.5]
    assert told["commonest"][0] == ("", 1)
    assert told["unused"] == [("fast", 2), ("is", 1), ("sleeps", 1), ("the", 1)]
    assert told["num_unused"] == 4


def test_no_captions_have_no_language():
    told = describe_language({}, {"a": ["x"]})
    assert (told["num"], told["lengths"], told["commonest"]) == (0, [], [])


def test_long_captions_count_in_the_last_place():
    assert lengths_of([1, MOST_WORDS, MOST_WORDS + 30])[MOST_WORDS] == pytest.approx(2 / 3)
    assert reference_lengths({"a": ["one two"], "b": ["one two", "one"]})[1:3] == pytest.approx([1 / 3, 2 / 3])

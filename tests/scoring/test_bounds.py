"""The captions of floors and of the ceiling."""

from pipeline.scoring.bounds import commonest, of_other_videos, one_against_others


def test_the_commonest_caption_counts_words_and_not_spelling():
    assert commonest(["A man.", "a dog runs", "a man", "a dog"], "bare") == "A man."
    assert commonest(["b", "a"], "bare") == "a"


def test_every_caption_is_given_once_and_to_another_video():
    captions = {f"v{number}": f"caption {number}" for number in range(7)}
    given = of_other_videos(captions)
    assert list(given) == list(captions)
    assert sorted(given.values()) == sorted(captions.values())
    assert all(given[video_id] != caption for video_id, caption in captions.items())
    assert of_other_videos(captions) == given
    assert of_other_videos({"a": "b"}) == {}


def test_one_reference_is_taken_and_the_others_stay():
    references = {"a": ["x", "y", "z"], "b": ["alone"], "c": ["p", "q"], "d": []}
    captions, others = one_against_others(references)
    assert set(captions) == set(others) == {"a", "c"}
    for video_id in ("a", "c"):
        assert sorted([captions[video_id], *others[video_id]]) == sorted(references[video_id])
        assert len(others[video_id]) == len(references[video_id]) - 1

"""The videos that are explained, and the words of their captions."""

import pytest

from pipeline.artifact import write_json
from pipeline.captioning.explained import draw_videos, explained_captions
from pipeline.errors import PipelineError
from pipeline.vocabulary import SPECIAL, Vocabulary

VOCABULARY = Vocabulary((*SPECIAL, "a", "dog", "runs"), max_words=2)
IDS = [f"v{number}" for number in range(20)]


def test_words_and_their_tokens_in_the_order_of_the_file(tmp_path):
    write_json(tmp_path / "c.json", {"captions": {"b": "a dog runs", "a": "a dog", "unread": "a cat"}})
    found = explained_captions(tmp_path / "c.json", VOCABULARY, {"a", "b"}, None, 1)
    # `max_words` is of training captions: a generated one is not cut.
    assert list(found.items()) == [("a", (("a", "dog"), (4, 5))), ("b", (("a", "dog", "runs"), (4, 5, 6)))]


def test_captions_of_another_captioner_or_of_no_known_video_are_one_line(tmp_path):
    write_json(tmp_path / "c.json", {"captions": {"a": "a cat"}})
    with pytest.raises(PipelineError, match=r"c\.json: video a: the captioner does not know the word 'cat'"):
        explained_captions(tmp_path / "c.json", VOCABULARY, {"a"}, None, 1)
    with pytest.raises(PipelineError, match=r"c\.json: none of its 1 videos has what the captioner reads"):
        explained_captions(tmp_path / "c.json", VOCABULARY, {"b"}, None, 1)


def test_videos_are_drawn_by_seed_and_id_and_keep_their_order():
    drawn = draw_videos(IDS, 5, 1)
    assert len(drawn) == 5
    assert drawn == sorted(drawn, key=IDS.index)
    assert drawn != draw_videos(IDS, 5, 2)
    assert draw_videos(IDS, None, 1) == IDS
    rest = [video_id for video_id in IDS if video_id in drawn or video_id > "v3"]
    assert draw_videos(rest, 5, 1) == drawn  # videos that are not drawn make no difference

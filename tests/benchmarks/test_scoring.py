"""The captions of the benchmark are scored whole, and the row compares with the slowest metric."""

import pytest

from benchmarks import scoring
from benchmarks.measuring import Times
from pipeline.artifact import read_json


def test_every_video_has_a_caption_that_shares_words_with_its_references(tmp_path):
    references, hypotheses = scoring.random_captions(7, 20)
    assert references.keys() == hypotheses.keys()
    assert {len(of_video) for of_video in references.values()} == {20}
    assert len(set(hypotheses.values())) == 7
    flags = scoring.write(tmp_path, references, hypotheses)
    dataset = read_json(flags["references"], ["captions", "splits"], "index_captions")
    assert dataset["splits"]["test"] == list(hypotheses)
    for video_id, caption in hypotheses.items():
        words = {word for sentence in references[video_id] for word in sentence.lower().rstrip(".").split()}
        assert len(set(caption.split()) & words) >= 3


@pytest.mark.slow
def test_the_row(monkeypatch):
    """The stage runs as a whole, and is compared with the slowest of the metrics alone."""
    monkeypatch.setattr(scoring, "NUM_VIDEOS", 3)
    monkeypatch.setattr(scoring, "meteor", lambda *pairs: pairs)  # the stage has its own

    def each_once(functions, rounds):
        for function in functions:
            function()
        return [Times(ms, ms) for ms in (3000, 2000, 10, 20, 30)]

    monkeypatch.setattr(scoring, "take_turns", each_once)
    [row] = scoring.rows(1)
    assert (row.ratio, row.goal, row.at_most) == (1.5, 1.2, True)
    assert (row.now, row.peer) == ("3.0 s", "METEOR alone: 2.0 s")

"""The plain search finds what the search of the stage finds, and ways that differ are refused."""

import pytest

from benchmarks import beam_search
from benchmarks.beam_search import DECODING, Size, compare, encoders, models, our_captions, plain_captions

SMALL = {"graph_width": 16, "visual_width": 16, "visual_feedforward": 16, "width": 16, "decoder_feedforward": 16}
TINY = Size("a tiny size", SMALL, 5, 3, 8, 14)


@pytest.mark.parametrize(
    "changes", [{}, {"beam": 1}, {"min_words": 0}, {"min_words": 1, "max_words": 1}, {"max_words": 20}], ids=str
)
def test_both_searches_find_the_same_captions(changes):
    decoding = DECODING.model_copy(update=changes)
    ours, plain, graphs = models(TINY)
    captions = our_captions(ours, graphs, decoding)
    assert plain_captions(plain, graphs, decoding) == captions
    assert [plain_captions(plain, [graph], decoding)[0] for graph in graphs] == captions
    assert all(max(1, decoding.min_words) <= len(tokens) - 1 <= decoding.max_words for tokens in captions)
    assert len({tuple(tokens) for tokens in captions}) > (decoding.max_words > 1)


def test_rows_compare_three_ways():
    in_batch, one_by_one = compare(TINY, 1)
    assert (in_batch.goal, one_by_one.goal) == (4, 12)
    assert min(in_batch.ratio, one_by_one.ratio) > 0
    of_rate = encoders(TINY, 1)
    assert (of_rate.goal, of_rate.unit) == (0.7, "%")
    assert 0 < of_rate.ratio < 1


def test_different_captions_break_the_benchmark(monkeypatch):
    monkeypatch.setattr(beam_search, "plain_captions", lambda *_: [[1, 4]] * 5)
    with pytest.raises(ValueError, match="different captions"):
        compare(TINY, 1)

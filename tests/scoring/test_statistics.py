import json
import math

import numpy as np
import pytest

from pipeline.scoring.statistics import COLUMNS, METRICS, NUM_METEOR, Statistics, bleu, from_json, meteor, meteor_row

# METEOR's own lines for four captions, and what it says of each and of all together.
LINES = (
    "7.0 9.0 3.0 5.0 3.0 3.0 3.0 3.0 1.0 1.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 1.0 7.0 7.0",
    "8.0 7.0 4.0 3.0 1.0 1.0 3.0 3.0 1.0 1.0 0.0 0.0 1.0 1.0 0.0 0.0 1.0 1.0 1.0 0.0 5.0 8.0 7.0",
    "4.0 2.0 1.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0",
    "1.0 3.0 1.0 1.0 0.0 0.0 1.0 1.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 1.0 1.0 1.0",
)
SCORES = (0.49038213395473157, 0.35653929939497314, 0.0, 0.06557377049180328)


def test_bleu_of_summed_counts():
    # 3 of 4 words, 2 of 3 pairs, 1 of 2 triples, no run of four of 1; 4 words against 5
    scores = bleu(np.array([[3, 2, 1, 0, 4, 3, 2, 1, 4, 5.0]]))[0]
    brevity = math.exp(1 - 5 / 4)
    expected = [3 / 4, math.sqrt(3 / 4 * 2 / 3), (3 / 4 * 2 / 3 * 1 / 2) ** (1 / 3), 0]
    assert scores == pytest.approx([brevity * score for score in expected], abs=1e-3)
    assert bleu(np.array([[2, 1, 0, 0, 2, 1, 0, 0, 2, 2.0]]))[0, :2] == pytest.approx([1, 1])


def test_meteor_is_that_of_the_java_program():
    rows = np.array([meteor_row(line) for line in LINES])
    assert meteor(rows) == pytest.approx(SCORES, abs=1e-12)


def test_a_caption_without_a_break_counts_no_chunk():
    whole = "8.0 8.0 3.0 3.0 5.0 5.0 3.0 3.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 1.0 8.0 8.0"
    assert meteor_row(whole)[20] == 0
    assert meteor(np.array([meteor_row(whole)])) == pytest.approx([1.0])
    with pytest.raises(ValueError, match="2 statistics, expected 23"):
        meteor_row("1 2")


def test_json_and_back():
    rows = np.arange(2 * len(COLUMNS), dtype=float).reshape(2, -1) / 2
    statistics = Statistics(("b", "a"), rows)
    back = from_json(json.loads(json.dumps(statistics.to_json())))
    assert back.ids == ("a", "b")
    assert back.of(("b", "a")).rows_VS.tolist() == rows.tolist()


def test_means_are_over_videos():
    rows = np.zeros((2, len(COLUMNS)))
    rows[:, COLUMNS.index("CIDEr")] = [1, 3]
    rows[:, COLUMNS.index("ROUGE_L")] = [0.5, 1]
    statistics = Statistics(("x", "y"), rows)
    assert [statistics.scores()[name] for name in ("ROUGE_L", "CIDEr", "METEOR")] == [0.75, 2, 0]
    assert statistics.by_video()["y"]["CIDEr"] == 3
    assert tuple(statistics.scores()) == METRICS
    assert NUM_METEOR == 23

"""Compute the metrics of any set of videos from sums over its videos, without the captions and without Java.

BLEU (Papineni et al., 2002) pools the n-grams of all videos, METEOR (Denkowski and Lavie, 2014) their matches; ROUGE-L
and CIDEr are means over videos. So a row of numbers for each video is enough to score every resample of the videos. The
formulas are those of pycocoevalcap and of METEOR 1.5 with its parameters for English.

Shapes: V videos, R sets of videos, S statistics, X the statistics of one metric, 7 metrics.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

METRICS = ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "METEOR", "ROUGE_L", "CIDEr")

_STAGES = [f"METEOR_{match}_{word}_{side}" for match in ("exact", "stem", "synonym", "paraphrase")
           for word in ("content", "function") for side in ("caption", "reference")]  # fmt: skip
COLUMNS = (
    *[f"Bleu_matches_{n}" for n in (1, 2, 3, 4)],
    *[f"Bleu_ngrams_{n}" for n in (1, 2, 3, 4)],
    "Bleu_caption_words",
    "Bleu_reference_words",  # words of the reference whose length is closest to the caption's
    "ROUGE_L",
    "CIDEr",
    *[f"METEOR_{what}" for what in ("caption_words", "reference_words", "caption_function", "reference_function")],
    *_STAGES,
    *[f"METEOR_{what}" for what in ("chunks", "matched_caption", "matched_reference")],
)
NUM_METEOR = 23
BLEU = slice(0, 10)
ROUGE_L, CIDER = COLUMNS.index("ROUGE_L"), COLUMNS.index("CIDEr")
METEOR = slice(len(COLUMNS) - NUM_METEOR, len(COLUMNS))

# These are METEOR 1.5's parameters for English, and the weights of its four kinds of matches.
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])

Rows = NDArray[np.float64]


class Statistics(NamedTuple):
    """The statistics of some videos.

    Attributes:
        ids: The ids of the videos.
        rows_VS: For each video the numbers that `COLUMNS` names.
    """

    ids: tuple[str, ...]
    rows_VS: Rows

    def of(self, ids: tuple[str, ...]) -> "Statistics":
        """Return the statistics of some of the videos, in the order of `ids`."""
        if ids == self.ids:
            return self
        places = {video_id: row for row, video_id in enumerate(self.ids)}
        return Statistics(ids, self.rows_VS[[places[video_id] for video_id in ids]])

    def scores(self) -> dict[str, float]:
        """Compute the metrics over all the videos together."""
        scores = scores_of(self.rows_VS.sum(0, keepdims=True), len(self.ids))[0]
        return dict(zip(METRICS, scores.tolist(), strict=True))

    def scores_of_draws(self, times_RV: NDArray[np.int64]) -> Rows:
        """Compute the metrics of resamples `[R, 7]`, each of which says how often it drew each video."""
        return scores_of(times_RV @ self.rows_VS, len(self.ids))

    def by_video(self) -> dict[str, dict[str, float]]:
        """Compute the metrics of each video alone; BLEU-n is not smoothed: it is 0 without a run of n common words."""
        scores = scores_of(self.rows_VS, 1).tolist()
        return {i: dict(zip(METRICS, row, strict=True)) for i, row in zip(self.ids, scores, strict=True)}

    def to_json(self) -> dict[str, Any]:
        """Make the JSON object that `from_json` reads; whole numbers are written as integers."""
        rows = [[int(x) if x == int(x) else x for x in row] for row in self.rows_VS.tolist()]
        return {"columns": list(COLUMNS), "videos": dict(zip(self.ids, rows, strict=True))}


def from_json(content: Mapping[str, Any]) -> Statistics:
    """Read the JSON object that `Statistics.to_json` made; videos come in alphabetical order."""
    ids = tuple(sorted(content["videos"]))
    rows = np.array([content["videos"][video_id] for video_id in ids], np.float64).reshape(len(ids), len(COLUMNS))
    return Statistics(ids, rows)


def scores_of(sums_RS: Rows, num_videos: int) -> Rows:
    """Compute the metrics of sets of videos.

    Args:
        sums_RS: Statistics summed over the videos of each set.
        num_videos: Number of videos in each set.

    Returns:
        `[R, 7]` in the order of `METRICS`.
    """
    means_R2 = sums_RS[:, [ROUGE_L, CIDER]] / num_videos
    return np.column_stack([bleu(sums_RS[:, BLEU]), meteor(sums_RS[:, METEOR]), means_R2])


def bleu(sums_RX: Rows) -> Rows:
    """Compute BLEU-1 to BLEU-4 `[R, 4]` of summed counts, with the tiny numbers that pycocoevalcap adds.

    Args:
        sums_RX: Sums of the columns `BLEU`.
    """
    small, tiny = 1e-9, 1e-15
    precision_R4 = (sums_RX[:, :4] + tiny) / (sums_RX[:, 4:8] + small)
    ratio_R1 = (sums_RX[:, 8:9] + tiny) / (sums_RX[:, 9:10] + small)
    brevity_R1 = np.exp(np.minimum(0, 1 - 1 / ratio_R1))
    scores: Rows = np.cumprod(precision_R4, 1) ** (1 / np.arange(1, 5)) * brevity_R1
    return scores


def meteor(sums_RX: Rows) -> Rows:
    """Compute METEOR `[R]` of summed statistics; it is 0 where no word is matched.

    Args:
        sums_RX: Sums of the columns `METEOR`.
    """
    words_R2, function_R2 = sums_RX[:, 0:2], sums_RX[:, 2:4]
    matched_R422 = sums_RX[:, 4:20].reshape(-1, 4, 2, 2)  # kind of match, content or function, caption or reference
    weighted_R2 = np.einsum("k,rkcs->rs", WEIGHTS, matched_R422 * np.array([DELTA, 1 - DELTA])[:, None])
    total_R2 = DELTA * (words_R2 - function_R2) + (1 - DELTA) * function_R2
    precision_R, recall_R = _ratio(weighted_R2, total_R2).T
    mean_R = _ratio(precision_R * recall_R, ALPHA * precision_R + (1 - ALPHA) * recall_R)
    fragmentation_R = _ratio(sums_RX[:, 20], sums_RX[:, 21:23].mean(1))
    scores: Rows = mean_R * (1 - GAMMA * fragmentation_R**BETA)
    return scores


def meteor_row(line: str) -> list[float]:
    """Read the statistics of one caption from METEOR's own line.

    A caption that matches its reference from end to end counts as no chunk at all, as in METEOR's own sums.

    Raises:
        ValueError: The line has another number of statistics.
    """
    row = [float(number) for number in line.split()]
    if len(row) != NUM_METEOR:
        raise ValueError(f"METEOR gave {len(row)} statistics, expected {NUM_METEOR}: {line!r}")
    if row[20] == 1 and row[21] == row[0] and row[22] == row[1]:
        row[20] = 0.0
    return row


def _ratio(above: Rows, below: Rows) -> Rows:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)

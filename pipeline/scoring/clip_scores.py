"""Score captions by how near CLIP puts them to the frames of their videos, and to the references where there are any.

CLIPScore and RefCLIPScore are those of Hessel et al. (2021, "CLIPScore: A Reference-free Evaluation Metric for Image
Captioning", section 3), where the image is a video: the normalised mean of its normalised frames. EMScore is that of
Shi et al. (2022, "EMScore: Evaluating Video Captioning via Coarse-Grained and Fine-Grained Embedding Matching"). PAC-S
and RefPAC-S are those of Sarto et al. (2023, "Positive-Augmented Contrastive Learning for Image and Video Captioning
Evaluation", section 3): the same with another factor, by a CLIP that they fine-tuned for it.

Shapes: V videos, R resamples, M metrics (4), T tokens of a text (its words, and last the end token), F frames of a
video or tokens of a reference, D embedding.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]

# For each choice of scores their names in the order of a video's numbers, and the factor of the cosine in the first.
METRICS = {
    "clip_score": ("CLIPScore", "RefCLIPScore", "EMScore", "EMScore_ref"),
    "pac_s": ("PAC-S", "RefPAC-S", "EMScore", "EMScore_ref"),
}
FACTORS = {"clip_score": 2.5, "pac_s": 2.0}
PREFIX = "A photo depicts "  # before each text of CLIPScore and PAC-S


@dataclass(frozen=True)
class Text:
    """The embedding of a caption or reference.

    Attributes:
        words_TD: Its tokens, each of length 1; the last one is the end token.
        weights_T: How much each token counts in EMScore.
    """

    words_TD: Rows
    weights_T: Rows


@dataclass(frozen=True)
class ClipScores:
    """The scores of some videos, whose means are those of any set of them.

    Attributes:
        ids: The ids of the videos.
        names: The names of the scores, one of `METRICS`.
        rows_VM: For each video the numbers of that name.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    rows_VM: Rows

    def of(self, ids: tuple[str, ...]) -> "ClipScores":
        """Return those of some of the videos, in the order of `ids`."""
        places = {video_id: row for row, video_id in enumerate(self.ids)}
        return ClipScores(ids, self.names, self.rows_VM[[places[video_id] for video_id in ids]])

    def scores(self) -> dict[str, float]:
        """Compute the mean of each metric over the videos."""
        return dict(zip(self.names, self.rows_VM.mean(0).tolist(), strict=True))

    def scores_of_draws(self, times_RV: NDArray[np.int64]) -> Rows:
        """Compute the metrics of resamples `[R, M]`, each of which says how often it drew each video."""
        means_RM: Rows = times_RV @ self.rows_VM / len(self.ids)
        return means_RM


def from_json(content: Mapping[str, Sequence[float]], names: tuple[str, ...]) -> ClipScores:
    """Read the object of each video's scores of these names by id; videos come in alphabetical order."""
    ids = tuple(sorted(content))
    return ClipScores(ids, names, np.array([content[i] for i in ids], np.float64).reshape(len(ids), len(names)))


def unit(x: Rows) -> Rows:
    """Scale the rows of the last dimension to length 1."""
    scaled: Rows = x / np.linalg.norm(x, axis=-1, keepdims=True)
    return scaled


def video_of(frames_FD: Rows) -> Rows:
    """The embedding of a video `[D]`: the normalised mean of its frames, which have length 1."""
    return unit(frames_FD.mean(0))


def clip_score(text_D: Rows, video_D: Rows, factor: float) -> float:
    """CLIPScore of a text with the prefix (Hessel et al., equation 1), or PAC-S by its factor.

    Args:
        text_D: The caption, of length 1.
        video_D: The video, of length 1.
        factor: What the cosine is multiplied by, one of `FACTORS`.
    """
    return factor * max(float(text_D @ video_D), 0.0)


def ref_clip_score(text_D: Rows, video_D: Rows, references_FD: Rows, factor: float) -> float:
    """RefCLIPScore: the harmonic mean of CLIPScore and the largest cosine with a reference (Hessel et al., section 3).

    RefPAC-S is the same of PAC-S.

    Args:
        text_D: The caption, of length 1.
        video_D: The video, of length 1.
        references_FD: The references, each of length 1.
        factor: What the first cosine is multiplied by, one of `FACTORS`.
    """
    return _harmonic(clip_score(text_D, video_D, factor), max(float((references_FD @ text_D).max()), 0.0))


def em_score(text: Text, other_FD: Rows, whole_D: Rows, other_weights_F: Rows) -> float:
    """EMScore of a caption with a video or with a reference: the mean of a coarse and a fine match.

    Coarse is the cosine of the end token and the whole. Fine is the harmonic mean of a precision, in which each token
    has its best frame, and a recall, in which each frame has its best token.

    Args:
        text: The caption.
        other_FD: Frames of the video, or tokens of the reference, each of length 1.
        whole_D: The video, or the reference's end token, of length 1.
        other_weights_F: How much each frame or token counts in the recall.
    """
    cosine_TF = text.words_TD @ other_FD.T
    precision = _mean(cosine_TF.max(1), text.weights_T)
    recall = _mean(cosine_TF.max(0), other_weights_F)
    return (float(text.words_TD[-1] @ whole_D) + _harmonic(precision, recall)) / 2


def em_score_of_video(text: Text, frames_FD: Rows) -> float:
    """EMScore of a caption without references, in whose recall all frames count alike."""
    return em_score(text, frames_FD, video_of(frames_FD), np.ones(len(frames_FD)))


def em_score_with_references(text: Text, frames_FD: Rows, references: Iterable[Text]) -> float:
    """The mean of EMScore with the video, and that with the best of the references."""
    best = max(em_score(text, of.words_TD, of.words_TD[-1], of.weights_T) for of in references)
    return (em_score_of_video(text, frames_FD) + best) / 2


@dataclass(frozen=True)
class Rarity:
    """How rare tokens are: log((n + 1) / (count + 1)), where `count` of n references hold the token.

    Attributes:
        num_references: Number of references, n.
        counts: In how many references a token occurs.
    """

    num_references: int
    counts: Mapping[int, int]

    def of(self, token: int) -> float:
        """Weight of a word's token."""
        return math.log((self.num_references + 1) / (self.counts.get(token, 0) + 1))

    @cached_property  # each text asks for it, and it takes a sum over all words of the references
    def of_end(self) -> float:
        """Weight of the end token, which all texts have: the mean over the tokens of the references."""
        return sum(map(self.of, self.counts)) / max(1, len(self.counts))

    def weights(self, tokens: Sequence[int]) -> Rows:
        """The weights of a text's tokens, of which the last is the end token."""
        return np.array([*map(self.of, tokens[:-1]), self.of_end])


def rarity(references: Iterable[Sequence[int]]) -> Rarity:
    """Count in how many references each token occurs.

    Args:
        references: The tokens of each reference, of which the last is the end token.
    """
    texts = [set(tokens[:-1]) for tokens in references]
    return Rarity(len(texts), Counter(token for tokens in texts for token in tokens))


def _mean(values: Rows, weights: Rows) -> float:
    """The weighted mean; the plain one where nothing weighs anything, as of a single reference."""
    return float(np.average(values, weights=weights if weights.sum() > 0 else None))


def _harmonic(one: float, other: float) -> float:
    """The harmonic mean; 0 of numbers of different signs, where the formula goes beyond all bounds."""
    return 2 * one * other / (one + other) if one * other > 0 else 0.0

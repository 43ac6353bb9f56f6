"""Where a caption and its clip stand among the test clips of the experiment that captioned them.

The log-probability of a caption says little by itself: of a clip that is unlike all that it learned from, a captioner
may be surer of nonsense than of most of its test captions. So a page tells which share of the test captions it is less
sure of, and which share of the test clips is nearer to the training clips.

Shapes: V clips, T training clips, N nodes, D numbers of a vector.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact import read
from pipeline.artifact.all_shards import AllShards
from pipeline.jobs.progress import track
from pipeline.schemas import GRAPHS

UNLIKE = 0.95  # a clip that is farther from the training clips than this share of the test clips is called unlike them
CLIPS_AT_ONCE = 1024  # whose cosines with all training clips are in memory together
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Standing:
    """Where a caption and its clip stand among the test clips of their experiment.

    Attributes:
        surer: The share (0 to 1) of the test captions that have a lower score; None where this is not known.
        farther: The share of the test clips that are nearer to a training clip; None where this is not known.
    """

    surer: float | None = None
    farther: float | None = None

    @property
    def unlike(self) -> bool:
        """Whether the clip is so far from the training clips that its caption says little, however sure it is."""
        return self.farther is not None and self.farther > UNLIKE


def stand(scores: Mapping[str, float], test_scores: Sequence[float], distances: "Distances") -> dict[str, Standing]:
    """Tell where captions and their clips stand.

    Args:
        scores: The score of each caption by the id of its clip.
        test_scores: The scores of the experiment's test captions.
        distances: How far the clips and the test clips are from the training clips.

    Returns:
        The standing of each clip by its id.
    """
    return {
        video_id: Standing(
            share_below(score, test_scores), share_below(distances.of_clips.get(video_id), distances.of_tests)
        )
        for video_id, score in scores.items()
    }


def share_below(value: float | None, others: Sequence[float]) -> float | None:
    """The share (0 to 1) of other numbers that are below a number; None without a number or others."""
    if value is None or not len(others):
        return None
    return float(np.mean(np.asarray(others) < value))


@dataclass(frozen=True)
class Distances:
    """Cosine distances (0 to 2) of clips to the nearest training clip.

    Attributes:
        of_clips: Those of some clips, by id; clips without nodes have none.
        of_tests: Those of the test clips.
    """

    of_clips: Mapping[str, float]
    of_tests: Sequence[float]


UNKNOWN = Distances({}, [])


def measure_distances(
    graphs: Iterable[Path], trained_graphs: Iterable[Path], splits: Mapping[str, Sequence[str]], ids: Iterable[str]
) -> Distances:
    """Measure how far clips look from the training clips that an experiment learned from.

    Args:
        graphs: Graphs (GRAPHS) of the data set of the clips, of all its shards.
        trained_graphs: Graphs of the data set that the experiment learned from, of all its shards.
        splits: The ids of that data set's clips, by split.
        ids: Ids of the clips to measure.

    Returns:
        The distances; none at all where there are no training or no test clips, or where a shard of them is not there.
    """
    known = AllShards([read(path, GRAPHS) for path in trained_graphs], ["x"])
    training, tests = splits.get("train", []), splits.get("test", [])
    if any(video_id not in known and video_id not in known.failed for video_id in [*training, *tests]):
        return UNKNOWN
    training_TD = np.array(list(directions(known, training).values()))
    test_VD = np.array(list(directions(known, tests).values()))
    if not len(training_TD) or not len(test_VD):
        return UNKNOWN
    found = directions(AllShards([read(path, GRAPHS) for path in graphs], ["x"]), ids)
    distances = to_nearest(np.array(list(found.values())), training_TD).tolist() if found else []
    return Distances(dict(zip(found, distances, strict=True)), to_nearest(test_VD, training_TD).tolist())


def directions(shards: AllShards, ids: Iterable[str]) -> dict[str, Vectors]:
    """The direction of each clip's appearance by id, without clips that have no graph or no node."""
    there = [video_id for video_id in ids if video_id in shards]
    read_one_by_one = track(there, len(there), "write_gallery: appearance")
    found = ((video_id, mean_direction(shards.video(video_id)["x"])) for video_id in read_one_by_one)
    return {video_id: direction_D for video_id, direction_D in found if direction_D is not None}


def mean_direction(x_ND: NDArray[np.floating]) -> Vectors | None:
    """The mean of the nodes' directions, as a vector of length 1; None where no node has a direction.

    Args:
        x_ND: Appearance of the nodes of a clip, of any lengths.
    """
    lengths_N = np.linalg.norm(x_ND.astype(np.float32), axis=1)
    pointing_N = lengths_N > 0
    sum_D = (x_ND[pointing_N].astype(np.float32) / lengths_N[pointing_N, None]).sum(0)
    length = np.linalg.norm(sum_D)
    return sum_D / length if length > 0 else None


def to_nearest(x_VD: Vectors, training_TD: Vectors) -> Vectors:
    """The cosine distance of each clip to the nearest training clip, `[V]`; all vectors have length 1."""
    parts = range(0, len(x_VD), CLIPS_AT_ONCE)
    nearest = [(x_VD[start : start + CLIPS_AT_ONCE] @ training_TD.T).max(1) for start in parts]
    distances_V: Vectors = np.maximum(0, 1 - np.concatenate(nearest))
    return distances_V

"""Where the objects of generated clips are, in frames that were stored of them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact import read_json
from pipeline.datasets.sync_mnist.made import read_boxes
from pipeline.errors import ArtifactError

Boxes = NDArray[np.float64]
BoxesOfFrame = Callable[[str, int, float], Boxes]


def object_boxes(kind: str, truths: Sequence[Path]) -> BoxesOfFrame | None:
    """Read the truth of generated clips.

    Args:
        kind: Kind of the data set.
        truths: Files of the truth, of all shards; nothing for data sets that are not generated.

    Returns:
        A function from the id of a clip, the number of a stored frame and its time in seconds to the boxes of the
        objects that are visible then: left, top, right and bottom as shares of the frame, `[K, 4]`. None if nothing is
        known.

    Raises:
        ArtifactError: if a file is missing, or is not what its stage writes.
    """
    if kind == "sync_mnist":
        tracks = {clip_id: boxes for path in truths for clip_id, boxes in read_boxes(path).items()}
        return lambda clip_id, number, _: tracks[clip_id][number]
    if kind == "shapes":
        scenes: dict[str, Any] = {}
        for path in truths:
            scenes |= read_json(path, ["videos"], "make_shapes")["videos"]
        return lambda clip_id, _, seconds: _shapes_at(scenes[clip_id], clip_id, seconds)
    return None


def _shapes_at(scene: Mapping[str, Any], clip_id: str, seconds: float) -> Boxes:
    """The boxes of the frame that a clip shows at a time: stored clips may leave frames out."""
    number = round(seconds * scene["fps"])
    try:
        boxes = [body["boxes"][number] for body in scene["objects"]]
    except LookupError as error:
        raise ArtifactError(
            f"truth.json: clip {clip_id} has no frame {number}, which was stored of it: run make_shapes again"
        ) from error
    return np.array([box for box in boxes if box is not None], np.float64).reshape(-1, 4)

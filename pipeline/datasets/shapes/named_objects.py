"""Which object of a generated video the words of its caption name, and where that object is.

Shapes: R regions of a video.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact import read_json
from pipeline.datasets.shapes.captions import COLOUR_WORDS


class Scene(NamedTuple):
    """What is true of a video.

    Attributes:
        colours: The colour of each object, the acting one first.
        boxes: For each object its box in each frame: left, top, right and bottom as shares of the frame, NaN where it
            is not seen.
        fps: Frames a second.
    """

    colours: tuple[str, ...]
    boxes: tuple[NDArray[np.float64], ...]
    fps: float

    @property
    def num_objects(self) -> int:
        """Number of its objects, 1 or 2."""
        return len(self.colours)

    def boxes_at(self, number: int, time_R: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """The boxes `[R, 4]` of an object at some times; after the last frame, those of the last."""
        boxes = self.boxes[number]
        return np.asarray(boxes[np.clip(np.rint(time_R * self.fps).astype(int), 0, len(boxes) - 1)])


def read_scenes(truths: Sequence[Path]) -> dict[str, Scene]:
    """Read what is true of the videos of all shards, by id.

    Raises:
        ArtifactError: if a file is missing, or is not what its stage writes.
    """
    found = {}
    for path in truths:
        for video_id, truth in read_json(path, ["videos"], "make_shapes")["videos"].items():
            boxes = [[box or [np.nan] * 4 for box in body["boxes"]] for body in truth["objects"]]
            colours = tuple(body["colour"] for body in truth["objects"])
            found[video_id] = Scene(colours, tuple(np.array(of, np.float64) for of in boxes), truth["fps"])
    return found


def named_colours(words: Sequence[str], scene: Scene) -> list[tuple[int, int]]:
    """The words that are the colour of exactly one object: their places in the caption, and the object's number."""
    found = []
    for place, word in enumerate(words):
        objects = [number for number, colour in enumerate(scene.colours) if word in COLOUR_WORDS[colour]]
        if len(objects) == 1:
            found.append((place, objects[0]))
    return found

"""The truth of the clips of SyncMNIST, as `make_sync_mnist` writes it and others read it.

A clip's truth is a few short texts, because there may be 600,000 clips of five digits and ten frames.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.artifact import read_json
from pipeline.datasets.sync_mnist.strokes import SIDE
from pipeline.datasets.sync_mnist.tracks import Scene
from pipeline.errors import ArtifactError

STAGE = "make_sync_mnist"


def as_truth(scene: Scene) -> dict[str, Any]:
    """What is true of a clip, as JSON.

    Returns:
        `digits`, `glyphs` (numbers of the images) and `together` (1 for those that move alike), a word a digit, the
        last one in front; `tracks`, a text a digit: row and column of its window of 28 pixels on the canvas, with a
        comma between them, a word a frame.
    """
    return {
        "digits": _words(scene.classes_D),
        "glyphs": _words(scene.glyphs_D),
        "together": _words(scene.together_D.astype(int)),
        "tracks": [" ".join(f"{row},{column}" for row, column in track) for track in scene.tracks_TD2.swapaxes(0, 1)],
    }


def _words(numbers: Iterable[int]) -> str:
    return " ".join(map(str, numbers))


def read_scenes(truth: Path) -> dict[str, Scene]:
    """What the clips of one shard show, by id, sorted.

    Raises:
        ArtifactError: if the file is missing or holds what `make_sync_mnist` does not write.
    """
    content = read_json(truth, ["videos", "canvas"], STAGE)
    try:
        return {clip_id: _scene(entry, content["canvas"]) for clip_id, entry in sorted(content["videos"].items())}
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ArtifactError(
            f"{truth}: a clip's truth is not what {STAGE} writes ({error!r}): delete it and run {STAGE} again "
            f"(snakemake {truth})"
        ) from error


def _scene(entry: dict[str, Any], canvas: int) -> Scene:
    digits, glyphs, together = (
        np.array([int(word) for word in entry[name].split()], dtype=np.int64)
        for name in ("digits", "glyphs", "together")
    )
    tracks = [[[int(part) for part in word.split(",")] for word in track.split()] for track in entry["tracks"]]
    tracks_TD2 = np.array(tracks, dtype=np.int64).swapaxes(0, 1)
    if tracks_TD2.shape[1:] != (len(digits), 2) or not len(digits) == len(glyphs) == len(together):
        raise ValueError(f"{len(digits)} digits, but tracks of shape {tracks_TD2.shape}")
    if tracks_TD2.min() < 0 or tracks_TD2.max() > canvas - SIDE:
        raise ValueError(f"a track leaves the canvas of {canvas} pixels")
    return Scene(digits, glyphs, together.astype(np.bool_), tracks_TD2)


def read_boxes(truth: Path) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Left, top, right and bottom of every digit's window as shares of the frame, `[T, D, 4]`, by id.

    Raises:
        ArtifactError: as `read_scenes`.
    """
    canvas = read_json(truth, ["canvas"], STAGE)["canvas"]
    return {clip_id: scene.boxes(canvas) for clip_id, scene in read_scenes(truth).items()}

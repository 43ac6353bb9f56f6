"""Draw the frames of the clips of SyncMNIST, straight into a store of clips: no video is encoded and decoded."""

import hashlib
from pathlib import Path

import numpy as np

from pipeline.artifact import create
from pipeline.artifact.each_video import Rows, each_video
from pipeline.config import ClippingSettings, SyncMnistSettings
from pipeline.datasets.sync_mnist.drawing import render
from pipeline.datasets.sync_mnist.glyphs import glyph_bank
from pipeline.datasets.sync_mnist.made import read_scenes
from pipeline.errors import PipelineError
from pipeline.schemas import CLIPS
from pipeline.video.clip_encoding import EncodedFrames

FPS = 10  # by which the frames count as seconds: nothing in the data set says how fast they are shown


def run(truth: Path, out: Path, settings: SyncMnistSettings, clipping: ClippingSettings) -> None:
    """Draw the clips of one shard.

    Args:
        truth: What they show, from `make_sync_mnist`.
        out: Where the clips (CLIPS) go; their frames have one colour.
        settings: Settings of the data set.
        clipping: Which says whether frames are kept as pixels or as JPEG.

    Raises:
        PipelineError: if the clipping asks for fewer or smaller frames than the data set has, or the files of real
            digits cannot be read.
    """
    _require_whole(settings, clipping)
    bank, scenes = glyph_bank(settings), read_scenes(truth)
    quality = clipping.quality if clipping.codec == "jpeg" else None
    given: dict[str, object] = {
        "dataset": settings.model_dump(mode="json", exclude={"clips", "shards"}),
        "clipping": _used(clipping),
    }
    if settings.glyphs != "procedural":  # the truth tells which of the images are shown, not how they look
        given["glyphs"] = hashlib.sha256(bank.images_N.tobytes()).hexdigest()
    with create(
        out, CLIPS, ids=list(scenes), stage="draw_sync_mnist", settings=given, inputs={"truth": truth}
    ) as writer:

        def drawn(clip_id: str) -> Rows:
            pixels_TYX = render(scenes[clip_id], bank, settings.canvas, settings.size)
            frames = EncodedFrames(len(pixels_TYX), (settings.size, settings.size, 1), quality)
            for row, frame_YX in enumerate(pixels_TYX):
                frames.keep(row, frame_YX[:, :, None])
            return frames.arrays(np.arange(len(pixels_TYX)) / FPS)

        each_video(writer, {}, drawn)


def _used(clipping: ClippingSettings) -> dict[str, object]:
    """The settings that the frames depend on."""
    return clipping.model_dump(mode="json", include={"codec", "quality"} if clipping.codec == "jpeg" else {"codec"})


def _require_whole(settings: SyncMnistSettings, clipping: ClippingSettings) -> None:
    """Raise PipelineError if the clipping would change the frames, which have the size and number drawn."""
    too_small = clipping.short_side is not None and clipping.short_side < settings.size
    for is_less, key, needed in (
        (clipping.fps is not None, "fps", "null"),
        (too_small, "short_side", f"null, or {settings.size} or more"),
        (clipping.max_frames < settings.frames, "max_frames", f"{settings.frames} or more"),
    ):
        if is_less:
            raise PipelineError(
                f"`{key}` of the clipping: SyncMNIST keeps every frame as it is drawn: expected {needed} (the data "
                "set's own `size` and `frames` make clips smaller)"
            )

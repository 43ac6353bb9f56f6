"""The views of a clip that are scored: which frames, and which squares of them.

Views are numbered by time first: view v of S squares has sample v // S in time, and square v % S.

Shapes: V samples in time, S squares, T frames of a view, H height, W width, C channels.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config import ClipSamplingSettings, ViewSettings
from pipeline.recognition.augmentation import Crop, Pixels, resize
from pipeline.recognition.sampling import Frames, dense, dense_views, segments, uniform

Numbers = NDArray[np.int16]
Protocol = Literal["tsm", "cast"]


def protocol_of(kind: str) -> Protocol:
    """Whose published test views a kind of recognizer has: CAST's, or TSM's, which are DyReg's, too."""
    return "cast" if kind == "cast" else "tsm"


def training_frames(settings: ClipSamplingSettings, num_frames: int, rng: np.random.Generator) -> Frames:
    """The frames of a training clip `[T]`.

    Args:
        settings: How frames are taken. `uniform` draws how late they are, by less than the distance of two of them, so
            that of a clip of T frames all are taken.
        num_frames: Frames of the clip.
        rng: Draws them.

    Raises:
        PipelineError: if the clip has no frame.
    """
    if settings.sampling == "segments":
        return segments(num_frames, settings.number, "train", rng)
    if settings.sampling == "dense":
        return dense(num_frames, settings.number, _stride(settings), rng)
    frames_T = uniform(num_frames, settings.number)
    late = int(rng.random() * num_frames / settings.number)  # rounded up, half of the clips of T frames lost the first
    late_T: Frames = np.minimum(frames_T + late, num_frames - 1)
    return late_T


def validation_frames(settings: ClipSamplingSettings, num_frames: int, protocol: Protocol = "tsm") -> Frames:
    """The frames of a validation clip `[T]`.

    Of a clip of T frames TSM repeats the first one, as of shorter ones, and CAST, whose loader knows training and
    validation by one rule, takes all of them.

    Args:
        settings: How frames are taken.
        num_frames: Frames of the clip.
        protocol: Whose rule it is.

    Raises:
        PipelineError: if the clip has no frame.
    """
    if settings.sampling == "segments":
        takes_all = protocol == "cast" and num_frames == settings.number
        return segments(num_frames, settings.number, "test" if takes_all else "val")
    frames_T: Frames = temporal_views(settings, num_frames, 1)[0]
    return frames_T


def temporal_views(
    settings: ClipSamplingSettings, num_frames: int, num_views: int, protocol: Protocol = "tsm"
) -> Frames:
    """The frames of every sample in time `[V, T]`.

    Of segments, one sample is of their middles; two are of their middles and of their starts (TSM, DyReg), or of their
    starts and of their middles (CAST); of more, sample v lies the share v / V into its segments. Uniform samples are
    late by the share v / V (RSTG).

    Args:
        settings: How frames are taken.
        num_frames: Frames of the clip.
        num_views: V.
        protocol: Whose order of two samples it is.

    Raises:
        PipelineError: if the clip has no frame.
    """
    number = settings.number
    if settings.sampling == "dense":
        return dense_views(num_frames, number, _stride(settings), num_views)
    shares = np.arange(num_views) / num_views
    if settings.sampling == "uniform":
        return np.stack([uniform(num_frames, number, float(share)) for share in shares])
    if num_views == 1 or (num_views == 2 and protocol == "tsm"):
        both = [segments(num_frames, number, mode) for mode in ("test", "test_starts")]
        return np.stack(both[:num_views])
    places_VT = (np.arange(number) + shares[:, None]) * (num_frames / number)
    views_VT: Frames = places_VT.astype(np.int64)
    return views_VT


def _stride(settings: ClipSamplingSettings) -> int:
    assert settings.stride is not None  # the settings of `dense` have one
    return settings.stride


def resized_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Height and width of a frame whose short side is made so long; the long side is rounded down."""
    if height <= width:
        return short_side, int(short_side * width / height)
    return int(short_side * height / width), short_side


def squares(height: int, width: int, size: int, number: int, protocol: Protocol = "tsm") -> list[Crop]:
    """The squares of a frame that are scored, from left to right, or from top to bottom of an upright frame.

    One is in the centre. Three are at 0, 2 and 4 quarters of the free way, each quarter rounded down to a pixel (TSM,
    DyReg), or at its beginning, its half, rounded down, and its end (CAST). Eleven lie at equal distances, rounded down
    (RSTG). Across the long side, all are in the middle.

    Args:
        height: H.
        width: W.
        size: Side of a square, at most H and W.
        number: 1, 3 or 11.
        protocol: Whose three squares they are.
    """
    free = max(height, width) - size
    if number == 1:
        starts = [round(free / 2)]
    elif number == 3 and protocol == "tsm":
        starts = [quarters * (free // 4) for quarters in (0, 2, 4)]
    else:
        starts = [int(start) for start in np.linspace(0, free, number)]
    middle = round((min(height, width) - size) / 2)
    if width >= height:
        return [Crop(middle, start, size, size) for start in starts]
    return [Crop(start, middle, size, size) for start in starts]


def spatial_views(
    pixels_THWC: Pixels, short_side: int | None, size: int, number: int, protocol: Protocol = "tsm"
) -> Tensor:
    """Cut the squares out of the frames of one sample in time.

    Args:
        pixels_THWC: The frames, as the store gives them.
        short_side: Their short side before squares are cut; None for the whole frame, squeezed into one square.
        size: Side of a square.
        number: Squares, S.
        protocol: Whose squares they are.

    Returns:
        Bytes `[S, T, C, size, size]`.
    """
    if short_side is None:
        return resize(pixels_THWC, size, size)[None]
    height, width = resized_size(pixels_THWC.shape[1], pixels_THWC.shape[2], short_side)
    x_TCHW = resize(pixels_THWC, height, width)
    cut = [
        x_TCHW[:, :, crop.top : crop.top + size, crop.left : crop.left + size]
        for crop in squares(height, width, size, number, protocol)
    ]
    return torch.stack(cut)


def view_numbers(views: ViewSettings) -> tuple[Numbers, Numbers]:
    """The number of every view's sample in time, and of its square, both `[V S]`."""
    temporal, spatial = np.divmod(np.arange(views.temporal * views.spatial), views.spatial)
    return temporal.astype(np.int16), spatial.astype(np.int16)

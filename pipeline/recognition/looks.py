"""Where the modules of a recognizer look in clips: the regions of their nodes, and whom these listen to.

Of a clip the first sample in time is looked at, in the square at the centre of its frames, as it is scored.

Shapes: B clips, T frames, T' steps of a module's maps, N nodes, C channels, S side of a square.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config import ClipSamplingSettings, ViewSettings
from pipeline.recognition.backbones.choice import colours_of
from pipeline.recognition.clip_source import Clips, with_colours
from pipeline.recognition.clip_views import resized_size, spatial_views, squares, temporal_views
from pipeline.recognition.model_file import TrainedRecognizer
from pipeline.recognition.recognizer import map_shapes
from pipeline.recognition.region_proposals import FixedRegions

Boxes = NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """Where a module looks in a clip.

    Attributes:
        frames: Numbers of the stored frames that its steps begin with, `[T']`.
        boxes: Its regions, shares of the whole frame (left, top, right, bottom), `[T', N, 4]`; some reach beyond it.
        attention: How much each node listens to each, receivers first, `[T', N, N]`; None if it has no messages.
    """

    frames: NDArray[np.int64]
    boxes: Boxes
    attention: NDArray[np.float32] | None


@torch.inference_mode()
def looks(
    trained: TrainedRecognizer, clips: Clips, ids: Sequence[str], views: ViewSettings
) -> Iterator[tuple[str, dict[str, Look]]]:
    """Look at clips, `views.batch_size` of them at a time.

    Args:
        trained: The recognizer, on its device.
        clips: Where frames are read.
        ids: The clips.
        views: Size of the square.

    Yields:
        The id of each clip in turn, and for the place of each module, in the order of the settings, where it looks.
    """
    device = next(trained.model.parameters()).device
    colours = colours_of(trained.settings.backbone)
    for start in range(0, len(ids), views.batch_size):
        block = ids[start : start + views.batch_size]
        numbers = [_numbers(trained.settings.frames, clips, clip_id) for clip_id in block]
        seen = [_square(clips, clip_id, of, views, colours) for clip_id, of in zip(block, numbers, strict=True)]
        found = trained.model.regions(torch.stack(seen).to(device))
        for row, clip_id in enumerate(block):
            window = square_shares(*clips.size(clip_id), views)
            yield clip_id, {place: _look(numbers[row], *found[place], row, window) for place in trained.model.places}


def square_shares(height: int, width: int, views: ViewSettings) -> Boxes:
    """Left, top, right and bottom of the square at the centre of a frame, as shares of the frame `[4]`."""
    if views.short_side is None:
        return np.array([0.0, 0.0, 1.0, 1.0])
    height, width = resized_size(height, width, views.short_side)
    crop = squares(height, width, views.size, 1)[0]
    ends = [crop.left, crop.top, crop.left + views.size, crop.top + views.size]
    shares: Boxes = np.array(ends) / np.array([width, height] * 2)
    return shares


def of_frame(boxes: Boxes, window_4: Boxes) -> Boxes:
    """Boxes in shares of a square as shares of the whole frame, `[.., 4]`."""
    first, last = window_4[:2], window_4[2:]
    moved: Boxes = boxes * np.tile(last - first, 2) + np.tile(first, 2)
    return moved


def baselines(trained: TrainedRecognizer) -> dict[str, dict[str, Boxes]]:
    """Regions that do not look, to compare a module's with: nine of the size that DyReg's begin with.

    Args:
        trained: The recognizer; the regions depend on the size of the maps at a module's place.

    Returns:
        For each place `grid`, whose centres are those of the cells of a grid of 3 x 3, and `centre`, all of which lie
        at the centre: boxes in shares of the square, `[N, 4]`, which may reach beyond it.
    """
    shapes = map_shapes(trained.settings)
    found: dict[str, dict[str, Boxes]] = {}
    for place in trained.model.places:
        height, width = shapes[place][3:]
        maps = torch.empty(1, 1, 1, height, width)
        found[place] = {kind: _boxes(FixedRegions(kind, learned=False), maps) for kind in ("grid", "centre")}
    return found


def _boxes(proposals: FixedRegions, maps: Tensor) -> Boxes:
    regions = proposals(maps)
    size = torch.tensor(maps.shape[-2:])
    first, last = (regions.centre - regions.half) / size, (regions.centre + regions.half) / size
    boxes: Boxes = torch.cat([first.flip(-1), last.flip(-1)], -1)[0, 0].double().numpy()
    return boxes


def _numbers(frames: ClipSamplingSettings, clips: Clips, clip_id: str) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = temporal_views(frames, clips.num_frames(clip_id), 1)[0]
    return numbers


def _square(clips: Clips, clip_id: str, numbers: NDArray[np.int64], views: ViewSettings, colours: int) -> Tensor:
    pixels = with_colours(clips.read(clip_id, numbers), colours)
    return spatial_views(pixels, views.short_side, views.size, 1)[0]


def _look(numbers: NDArray[np.int64], boxes: Tensor, attention: Tensor | None, row: int, window: Boxes) -> Look:
    steps = boxes.shape[1]
    frames = numbers[:: len(numbers) // steps][:steps]
    own = of_frame(boxes[row].double().cpu().numpy(), window)
    return Look(frames, own, None if attention is None else attention[row].float().cpu().numpy())

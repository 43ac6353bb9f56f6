"""Pictures of what a pre-trained autoencoder tells of hidden tubelets.

Shapes: F frames, T frames that are shown, S side of a frame, N tokens, M hidden tokens, V numbers of a tubelet.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pipeline.recognition.pretraining.autoencoder import MaskedAutoencoder
from pipeline.recognition.pretraining.masks import cut, join, targets
from pipeline.recognition.pretraining.training import MaskedBatch, MaskedTraining

MOST_FRAMES = 8  # of a clip
LEAST_SIDE = 64  # pixels of a frame; smaller ones are enlarged
GAP = 2
SHADE = 0.5  # grey, a share of white
BACKGROUND = "#808080"

Rows = tuple[Tensor, Tensor, Tensor]


@torch.inference_mode()
def reconstruct(training: MaskedTraining, batch: MaskedBatch) -> list[Rows]:
    """The clips of a batch as they are, with grey where they are hidden, and with what was told in these places.

    Of normalised targets, the mean and the deviation of each hidden tubelet are taken from the clip, as in VideoMAE's
    own pictures: what is shown is structure that was told, and not brightness.

    Returns:
        For each clip three rows of bytes `[F, 3, S, S]`.
    """
    module = training.module.eval()
    moved = batch.to(training.device)
    told_BMV = training.tell(moved)
    pixels = cut(moved.x, module.tubelet_size)
    known = targets(pixels, training.settings.targets)
    clip_B1 = torch.arange(len(pixels), device=pixels.device)[:, None]
    hidden, filled = pixels.clone(), pixels.clone()
    hidden[clip_B1, moved.hidden] = SHADE
    told_BMP3 = told_BMV.unflatten(-1, (-1, 3))  # type: ignore[no-untyped-call]
    mean, deviation = (part[clip_B1, moved.hidden] for part in (known.mean, known.deviation))
    filled[clip_B1, moved.hidden] = told_BMP3 * deviation + mean
    rows = [_joined(part, module) for part in (pixels, hidden, filled)]
    return list(zip(*rows, strict=True))


def draw(clips: list[Rows]) -> Image.Image:
    """One picture of clips below each other, each with its three rows of frames."""
    strips = [[_strip(row) for row in rows] for rows in clips]
    width, height = strips[0][0].size
    picture = Image.new("RGB", (width, len(clips) * (3 * (height + GAP) + 3 * GAP) - 4 * GAP), BACKGROUND)
    for place, rows in enumerate(strips):
        for number, strip in enumerate(rows):
            picture.paste(strip, (0, place * (3 * (height + GAP) + 3 * GAP) + number * (height + GAP)))
    return picture


def _joined(pixels_BNP3: Tensor, module: MaskedAutoencoder) -> Tensor:
    return join(pixels_BNP3, module.tubelet_size, module.tower.steps, module.tower.grid[0]).cpu()


def _strip(frames_F3SS: Tensor) -> Image.Image:
    """Frames beside each other, at equal distances where there are many; small ones are enlarged by a whole number."""
    count = min(MOST_FRAMES, len(frames_F3SS))
    shown = frames_F3SS[[int((place + 0.5) * len(frames_F3SS) / count) for place in range(count)]]
    side = shown.shape[-1] * -(-LEAST_SIDE // shown.shape[-1])
    strip = Image.new("RGB", (count * (side + GAP) - GAP, side), BACKGROUND)
    for place, frame in enumerate(shown):
        pixels: NDArray[np.uint8] = frame.permute(1, 2, 0).contiguous().numpy()
        strip.paste(Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST), (place * (side + GAP), 0))
    return strip

"""Embed crops of frames with CLIP4Clip's image tower, in batches that videos share.

Shapes: N crops of a video, C channels, S side of the tower's input, D embedding.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.artifact.each_video import Rows
from pipeline.models.clip4clip import Clip4Clip, normalise

IMAGES_AT_ONCE = 256  # largest batch of the tower; on CPUs more is no faster (measured from 64 to 1024)


def embed(
    videos: Iterable[tuple[Rows, Tensor]], module: Clip4Clip, device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[Rows, NDArray[np.float32]]]:
    """Embed the crops of videos, in batches that videos share.

    Args:
        videos: For each video, rows that are handed on unchanged, and its crops, bytes [N, C, S, S].
        module: The towers, on `device`.
        device: Device to compute on.
        dtype: Type that matrix products are computed in.

    Yields:
        For each video, in order, the rows that came with its crops, and the embeddings [N, D], not L2-normalised.
    """
    waiting: list[tuple[Rows, Tensor]] = []
    for video in videos:
        waiting.append(video)
        if sum(len(crops) for _, crops in waiting) >= IMAGES_AT_ONCE:
            yield from _embed_together(waiting, module, device, dtype)
            waiting = []
    if waiting:
        yield from _embed_together(waiting, module, device, dtype)


@torch.inference_mode()
def _embed_together(
    waiting: list[tuple[Rows, Tensor]], module: Clip4Clip, device: torch.device, dtype: torch.dtype
) -> list[tuple[Rows, NDArray[np.float32]]]:
    images = torch.cat([crops for _, crops in waiting])
    rows = [torch.zeros(0, module.text_projection.shape[1], device=device)]  # gives no crops at all the shape [0, D]
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        rows += [
            module.encode_image(normalise(chunk.to(device))).float()
            for chunk in torch.split(images, IMAGES_AT_ONCE)
            if len(chunk)
        ]
    parts = torch.split(torch.cat(rows).cpu(), [len(crops) for _, crops in waiting])
    return [(nodes, part.numpy()) for (nodes, _), part in zip(waiting, parts, strict=True)]

"""Embed crops of frames with CLIP4Clip's image tower, in batches that videos share.

Shapes: N crops of a video, C channels, S side of the tower's input, D embedding.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.artifact.each_video import Rows
from pipeline.models.clip4clip import Clip4Clip, normalise

IMAGES_AT_ONCE = 256  # largest batch of the tower; on CPUs more is no faster (measured from 64 to 1024)


def for_images(module: Clip4Clip, dtype: torch.dtype) -> Clip4Clip:
    """Change towers, in place, so that they embed images faster, and never learn again.

    A ResNet has its batch normalisation folded into its convolutions and its colours last in memory. Weights that
    autocast would bring into bfloat16 at every call, which takes 2.5 s of a core for ViT-B-32, are brought there once.

    Args:
        module: The towers, on the device that they are to compute on.
        dtype: Type that matrix products are computed in; the numbers between them stay in float32.
    """
    module.eval().requires_grad_(False)
    for part in [*module.visual.modules()]:
        children = [*part.named_children()]
        for (name, layer), (norm_name, norm) in pairwise(children):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(part, name, fuse_conv_bn_eval(layer, norm))
                setattr(part, norm_name, nn.Identity())
    if dtype != torch.float32:
        for part in module.visual.modules():
            if isinstance(part, (nn.Conv2d, nn.Linear)):
                part.to(dtype)
            elif isinstance(part, nn.MultiheadAttention):
                for own in part.parameters(recurse=False):
                    own.data = own.data.to(dtype)
    module.visual.to(memory_format=torch.channels_last)
    return module


def embed(
    videos: Iterable[tuple[Rows, Tensor]], module: Clip4Clip, device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[Rows, NDArray[np.float32]]]:
    """Embed the crops of videos, in batches that videos share.

    Args:
        videos: For each video, rows that are handed on unchanged, and its crops, bytes [N, C, S, S].
        module: The towers of `for_images`, on `device`.
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

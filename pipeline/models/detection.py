"""Find objects in images and describe them by the detector's own features.

Features are RoIAlign (He et al. 2017, "Mask R-CNN", section 3) of the backbone's maps over the whole box, one bin, its
samples about a cell apart. The map is that of the box's size (Lin et al. 2017, "Feature Pyramid Networks for Object
Detection", equation 1), among those that a two-stage detector pools from; of other detectors, among the first maps
that are equally deep. Coordinates are those of the image as the detector's own transform resized it, at the stride of
the map: padding on the right and below shifts nothing.

Shapes: B images, F frames of a video, C channels, H height, W width, N boxes of an image, R boxes of all images, D
features.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import MultiScaleRoIAlign, roi_align

FRAMES_AT_ONCE = 32  # at most
PIXELS_AT_ONCE = 4_000_000  # as resized: frames of 800 x 1,066 pixels four at a time
CANONICAL = (224, 4)  # pixels of a box, and log2 of the stride of its map (Lin et al. 2017)


@dataclass(frozen=True)
class Objects:
    """What was found in one image, the surest first.

    Attributes:
        box_N4: x0, y0, x1, y1 in pixels of the image.
        label_N: Classes.
        score_N: How sure, in [0, 1].
        x_ND: Backbone features.
    """

    box_N4: Tensor
    label_N: Tensor
    score_N: Tensor
    x_ND: Tensor


def find_in_videos(
    model: nn.Module, videos: Sequence[Tensor], size: int, max_objects: int, score: float, dtype: torch.dtype
) -> list[list[Objects]]:
    """Find the objects of the frames of several videos, frames of one size together.

    Args:
        model: A detector in eval mode.
        videos: Of each video its frames, bytes [F, C, H, W].
        size: Shorter side to which the detector brings them.
        max_objects: The most that are kept of a frame, the surest.
        score: None less sure is kept.
        dtype: Of the matrix products.

    Returns:
        Of each video and frame the objects.
    """
    found: list[list[Objects]] = [[] for _ in videos]
    for height, width in dict.fromkeys((frames.shape[-2], frames.shape[-1]) for frames in videos):
        same = [number for number, frames in enumerate(videos) if frames.shape[-2:] == (height, width)]
        num_pixels = size**2 * max(height, width) / min(height, width)
        at_once = max(1, min(FRAMES_AT_ONCE, int(PIXELS_AT_ONCE / num_pixels)))
        objects: list[Objects] = []
        for images_BCHW in torch.split(torch.cat([videos[number] for number in same]), at_once):
            objects += find_objects(model, images_BCHW, max_objects, score, dtype)
        rest = iter(objects)
        for number in same:
            found[number] = list(islice(rest, len(videos[number])))
    return found


@torch.inference_mode()
def find_objects(
    model: nn.Module, images_BCHW: Tensor, max_objects: int, score: float, dtype: torch.dtype
) -> list[Objects]:
    """Find objects in images of one size.

    Args:
        model: A detector in eval mode.
        images_BCHW: Bytes.
        max_objects: The most that are kept of an image, the surest.
        score: None less sure is kept.
        dtype: Of the matrix products.

    Returns:
        The objects of each image, on the CPU; equally sure ones are sorted by their boxes.
    """
    device = next(model.parameters()).device
    # The detector's own threshold would cut off, or let through, others; it is exclusive.
    getattr(model, "roi_heads", model).score_thresh = score - 1e-6
    seen: dict[str, Any] = {}
    hooks = [
        model.get_submodule("transform").register_forward_hook(lambda *call: seen.update(resized=call[2][0])),
        model.get_submodule("backbone").register_forward_hook(lambda *call: seen.update(maps=call[2])),
    ]
    try:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            found = model(list(images_BCHW.to(device).float() / 255))
    finally:
        for hook in hooks:
            hook.remove()
    chosen = [choose(one["boxes"], one["labels"], one["scores"], max_objects, score) for one in found]
    height, width = images_BCHW.shape[-2:]
    new_height, new_width = seen["resized"].image_sizes[0]
    scale_4 = torch.tensor([new_width / width, new_height / height] * 2, device=device)
    maps = {"0": seen["maps"]} if isinstance(seen["maps"], Tensor) else seen["maps"]
    x_RD = box_features(model, maps, [boxes * scale_4 for boxes, _, _ in chosen], seen["resized"].tensors.shape[-2:])
    parts = torch.split(x_RD.float().cpu(), [len(boxes) for boxes, _, _ in chosen])
    return [
        Objects(boxes.float().cpu(), labels.cpu(), scores.float().cpu(), x_ND)
        for (boxes, labels, scores), x_ND in zip(chosen, parts, strict=True)
    ]


def choose(
    box_N4: Tensor, label_N: Tensor, score_N: Tensor, max_objects: int, score: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The surest objects, first the surest; of equally sure ones first the leftmost, then the topmost, and so on.

    Boxes without an area are none.
    """
    keep_N = (score_N >= score) & (box_N4[:, 2:] > box_N4[:, :2]).all(dim=1)
    box_N4, label_N, score_N = box_N4[keep_N], label_N[keep_N], score_N[keep_N]
    keys = zip((-score_N).tolist(), box_N4.tolist(), label_N.tolist(), strict=True)
    order = [index for _, index in sorted((key, index) for index, key in enumerate(keys))][:max_objects]
    return box_N4[order], label_N[order], score_N[order]


def box_features(
    model: nn.Module, maps: Mapping[str, Tensor], boxes: Sequence[Tensor], padded: tuple[int, int] | torch.Size
) -> Tensor:
    """Backbone features of boxes.

    Args:
        model: The detector.
        maps: Maps [B, D, h, w] of its backbone, by name.
        boxes: Of each image, its boxes [N, 4] in pixels of the image that went into the backbone.
        padded: Height and width of the batch that went in.

    Returns:
        [R, D], image after image.
    """
    names, (canonical_size, canonical_level) = pooled_maps(model, maps)
    # Strides are powers of two; maps of other sizes were rounded up.
    levels = [round(math.log2(padded[0] / maps[name].shape[-2])) for name in names]
    roi_R5 = torch.cat(
        [torch.cat([box_N4.new_full((len(box_N4), 1), image), box_N4], dim=1) for image, box_N4 in enumerate(boxes)]
    )
    side_R = ((roi_R5[:, 3] - roi_R5[:, 1]) * (roi_R5[:, 4] - roi_R5[:, 2])).sqrt()
    level_R = torch.floor(canonical_level + torch.log2(side_R / canonical_size) + 1e-6).clamp(levels[0], levels[-1])
    first = maps[names[0]]
    x_RD = first.new_zeros((len(roi_R5), first.shape[1]), dtype=torch.float32)
    for name, level in zip(names, levels, strict=True):
        here_R = level_R == level
        pooled = roi_align(maps[name].float(), roi_R5[here_R], 1, 2.0**-level, sampling_ratio=0, aligned=True)
        x_RD[here_R] = pooled.flatten(1)
    return x_RD


def pooled_maps(model: nn.Module, maps: Mapping[str, Tensor]) -> tuple[list[str], tuple[int, int]]:
    """The maps that features are taken from, finest first, and the size of a box for a level of the pyramid."""
    pool = getattr(getattr(model, "roi_heads", None), "box_roi_pool", None)
    if isinstance(pool, MultiScaleRoIAlign):
        return list(pool.featmap_names), (pool.canonical_scale, pool.canonical_level)
    depth = next(iter(maps.values())).shape[1]
    names: list[str] = []
    for name, found in maps.items():
        if found.shape[1] != depth:  # SSD's maps differ: the finest is taken
            break
        names.append(name)
    return names, CANONICAL

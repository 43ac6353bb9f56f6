"""Find objects in images and describe them by the detector's own features.

The features of a box are RoIAlign (He et al. 2017, "Mask R-CNN", section 3) of one of the backbone's maps, with one bin
over the whole box and samples about a cell of the map apart. The size of the box chooses the map (Lin et al. 2017,
"Feature Pyramid Networks for Object Detection", equation 1). A two-stage detector offers the maps that it pools from;
any other detector offers its maps up to the first one with another number of channels.

Boxes are measured in the image as the detector's own transform resized it, and divided by the stride of the map.
Padding on the right and below therefore shifts nothing.

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
PIXELS_AT_ONCE = 4_000_000  # after resizing: four frames of 800 x 1,066 pixels
CANONICAL = (224, 4)  # pixels of a box, and log2 of the stride of its map (Lin et al. 2017)


@dataclass(frozen=True)
class Objects:
    """The objects that were found in one image, the surest first.

    Attributes:
        box_N4: Boxes as x0, y0, x1, y1 in pixels of the image.
        label_N: Class of each object.
        score_N: Confidence of the detector, in [0, 1].
        x_ND: Backbone features of each object.
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
        videos: The frames of each video, bytes [F, C, H, W].
        size: Length in pixels to which the detector brings the shorter side.
        max_objects: Largest number of objects kept of a frame, the surest.
        score: Lowest score of an object that is kept.
        dtype: Type that matrix products are computed in.

    Returns:
        The objects of each frame, by video and frame.
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
        model: A detector in eval mode; its score threshold is changed.
        images_BCHW: Images, bytes.
        max_objects: Largest number of objects kept of an image, the surest.
        score: Lowest score of an object that is kept.
        dtype: Type that matrix products are computed in.

    Returns:
        The objects of each image, on the CPU; equally sure ones are sorted by their boxes.
    """
    device = next(model.parameters()).device
    # The detector's own threshold may be a higher one, and excludes scores equal to it: it is set just below `score`.
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
    """Choose the surest objects of an image; boxes without an area are left out.

    Args:
        box_N4: Boxes as x0, y0, x1, y1.
        label_N: Class of each box.
        score_N: Score of each box.
        max_objects: Largest number of objects to keep.
        score: Lowest score of an object that is kept.

    Returns:
        Boxes, classes and scores of the objects, the surest first; equally sure ones are sorted by x0, y0, x1, y1.
    """
    keep_N = (score_N >= score) & (box_N4[:, 2:] > box_N4[:, :2]).all(dim=1)
    box_N4, label_N, score_N = box_N4[keep_N], label_N[keep_N], score_N[keep_N]
    keys = zip((-score_N).tolist(), box_N4.tolist(), label_N.tolist(), strict=True)
    order = [index for _, index in sorted((key, index) for index, key in enumerate(keys))][:max_objects]
    return box_N4[order], label_N[order], score_N[order]


def box_features(
    model: nn.Module, maps: Mapping[str, Tensor], boxes: Sequence[Tensor], padded: tuple[int, int] | torch.Size
) -> Tensor:
    """Pool the backbone features of boxes.

    Args:
        model: The detector.
        maps: Maps [B, D, h, w] of its backbone, by name.
        boxes: Boxes [N, 4] of each image, in pixels of the resized image that went into the backbone.
        padded: Height and width of the padded batch that went into the backbone.

    Returns:
        Features [R, D] of all boxes, image after image.
    """
    names, (canonical_size, canonical_level) = pooled_maps(model, maps)
    # Strides are powers of two; the size of a map may have been rounded up.
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
    """Choose the maps that features are pooled from.

    Returns:
        Names of the maps, the finest first; and the size of a box in pixels with the level, log2 of the stride, of the
        map that a box of this size is pooled from.
    """
    pool = getattr(getattr(model, "roi_heads", None), "box_roi_pool", None)
    if isinstance(pool, MultiScaleRoIAlign):
        return list(pool.featmap_names), (pool.canonical_scale, pool.canonical_level)
    depth = next(iter(maps.values())).shape[1]
    names: list[str] = []
    for name, found in maps.items():
        if found.shape[1] != depth:  # SSD's maps all differ, so that only the finest is taken
            break
        names.append(name)
    return names, CANONICAL

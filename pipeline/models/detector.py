"""Detectors: any detection model of torchvision by its name, and a small Faster R-CNN for small frames.

The names of parameters are torchvision's, so that its published files load unchanged. Loading is strict: a file of
another architecture is refused with a message that says what differs. The number of classes is read off the file. The
small detector, `fasterrcnn_resnet18_fpn`, is put together from torchvision's parts after Ren et al. 2015 ("Faster
R-CNN") and Lin et al. 2017 ("Feature Pyramid Networks for Object Detection").
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import detection as torchvision_detection
from torchvision.models import get_model, get_model_weights, list_models, resnet18
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from pipeline.errors import PipelineError
from pipeline.weights.loading import BATCH_COUNT, described, load_strictly, read_state, some
from pipeline.weights.origin import RANDOM, from_file
from pipeline.weights.saving import save_weights

SMALL = "fasterrcnn_resnet18_fpn"
FIXED_SIZES = {"ssd300_vgg16": 300, "ssdlite320_mobilenet_v3_large": 320}  # pixels; all others take any size
LONGEST = 1333 / 800  # longest side to shorter side, as in torchvision's training
COCO_CLASSES = 91  # COCO's, with the background, as most of torchvision's published weights have
# These were published with a frozen batch norm that adds nothing to the variance (torchvision's `overwrite_eps`).
EPS_0 = ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn", "retinanet_resnet50_fpn")

EXAMPLE = "torchvision's fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth"

log = logging.getLogger(__name__)


def build_detector(arch: str, num_classes: int, size: int) -> nn.Module:
    """Build a detector with the parameters that its constructor draws from torch's generator.

    Args:
        arch: Name of a torchvision detection model, or `fasterrcnn_resnet18_fpn`.
        num_classes: Number of classes with the background, which is class 0.
        size: Length in pixels to which the shorter side of an image is brought.

    Returns:
        The model in eval mode. It takes images of any size, float [3, H, W] in [0, 1], and gives boxes, labels and
        scores.

    Raises:
        PipelineError: torchvision has no such detection model, or it takes another size.
    """
    model = _construct(arch, num_classes, size)
    model.eval()
    _pin_scales(model)
    return model


def _construct(arch: str, num_classes: int, size: int) -> nn.Module:
    if arch == SMALL:
        return _small_detector(num_classes, size)
    known = list_models(module=torchvision_detection)
    if arch not in known:
        raise PipelineError(f"arch {arch!r} is no detection model: write {SMALL} or one of {', '.join(known)}")
    fixed = FIXED_SIZES.get(arch, size)
    if size != fixed:
        raise PipelineError(f"arch {arch} takes images of {fixed} pixels alone: write size: {fixed} (is {size})")
    sizes = {} if arch in FIXED_SIZES else {"min_size": size, "max_size": round(LONGEST * size)}
    model: nn.Module = get_model(arch, weights=None, weights_backbone=None, num_classes=num_classes, **sizes)
    return model


def _small_detector(num_classes: int, size: int) -> nn.Module:
    """Faster R-CNN on strides 8 and 16 of a ResNet-18, for objects of at least about a fifth of the shorter side.

    The anchors measure a quarter, three eighths and a half of the shorter side.
    """
    width, roi, hidden = 64, 7, 256
    backbone = BackboneWithFPN(
        resnet18(weights=None), {"layer2": "0", "layer3": "1"}, [128, 256], width, norm_layer=nn.BatchNorm2d
    )
    anchors = AnchorGenerator(
        sizes=((round(0.25 * size),), (round(0.375 * size),), (round(0.5 * size),)),
        aspect_ratios=((0.7, 1.0, 1.4),) * 3,
    )
    model: nn.Module = FasterRCNN(
        backbone,
        min_size=size,
        max_size=round(LONGEST * size),
        rpn_anchor_generator=anchors,
        rpn_pre_nms_top_n_train=200,
        rpn_post_nms_top_n_train=64,
        rpn_pre_nms_top_n_test=100,
        rpn_post_nms_top_n_test=32,
        rpn_batch_size_per_image=64,
        box_roi_pool=MultiScaleRoIAlign(["0", "1"], roi, 2, canonical_scale=size // 2, canonical_level=3),
        box_head=TwoMLPHead(width * roi**2, hidden),
        box_predictor=FastRCNNPredictor(hidden, num_classes),
        box_batch_size_per_image=32,
    )
    return model


@torch.no_grad()
def _pin_scales(model: nn.Module) -> None:
    """Tell every RoI pooling the strides of its maps.

    Otherwise torchvision guesses them from the first batch, and rounds wrongly if a small image was padded much (65
    pixels to 96), so that boxes would depend on the first images.
    """
    pools = [module for module in model.modules() if isinstance(module, MultiScaleRoIAlign)]
    if pools:
        side = 256  # a multiple of every stride
        maps = model.backbone(torch.zeros(1, 3, side, side))  # type: ignore[operator]
        maps = {"0": maps} if isinstance(maps, Tensor) else maps
        for pool in pools:
            pool(maps, [torch.tensor([[0.0, 0.0, side, side]])], [(side, side)])


def random_detector(arch: str, num_classes: int, size: int, seed: int) -> nn.Module:
    """Build a detector with parameters drawn from a seed; torch's generators stay as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_detector(arch, num_classes, size)


def load_pretrained(
    weights: str, arch: str, size: int, seed: int, level: int = logging.DEBUG
) -> tuple[nn.Module, list[str], str]:
    """Load a detector with the weights that a config names.

    Args:
        weights: Path of a file, or "random".
        arch: Architecture of the detector.
        size: Length in pixels to which the shorter side of an image is brought.
        seed: Seed of the parameters, for "random".
        level: Logging level of the table of what was matched.

    Returns:
        The model in eval mode; the names of its classes, the background first; and the origin of the weights (see
        `pipeline.weights.origin`).

    Raises:
        PipelineError: There is no such file, or it holds another architecture.
    """
    if weights == "random":
        log.warning("weights: random: the detector starts UNTRAINED (seed %d)", seed)
        return random_detector(arch, COCO_CLASSES, size, seed), class_names(arch, COCO_CLASSES), RANDOM
    path = Path(weights)
    model, categories = load_detector(path, arch, size, level)
    return model, categories, from_file(path)


def load_detector(path: Path, arch: str, size: int, level: int = logging.DEBUG) -> tuple[nn.Module, list[str]]:
    """Load a `weights.safetensors` saved by `save_detector` or a state dict of torchvision, strictly, in float32.

    Args:
        path: The file.
        arch: Architecture that the file must hold.
        size: Length in pixels to which the shorter side of an image is brought.
        level: Logging level of the table of what was matched.

    Returns:
        The model in eval mode, and the names of its classes, the background first.

    Raises:
        PipelineError: The file cannot be read, or holds another architecture; the message says what differs.
    """
    state, metadata = read_state(path, EXAMPLE)
    if metadata.get("arch", arch) != arch:
        raise PipelineError(f"{path} holds the architecture {metadata['arch']}, expected {arch}: correct `arch`")
    file = described(path, state, metadata)
    num_classes = _count_classes(file, arch, size, state)
    model = build_detector(arch, num_classes, size)
    load_strictly(
        model,
        state,
        refusal=f"{file} holds another architecture than {arch}",
        matched=f"{path}: {arch} of {num_classes} classes with the background",
        depth=2,
        level=level,
    )
    if "batch_norm_eps" in metadata:
        _set_eps(model, float(metadata["batch_norm_eps"]))
    elif arch in EPS_0 and not any(key.endswith(BATCH_COUNT) for key in state):  # a frozen batch norm counts no batches
        _set_eps(model, 0.0)
    categories = json.loads(metadata["categories"]) if "categories" in metadata else class_names(arch, num_classes)
    return model, categories


def starting_detector(weights: str, arch: str, size: int, num_classes: int, seed: int) -> tuple[nn.Module, str]:
    """Make a detector to train for classes of one's own.

    Args:
        weights: Path of a file, of which all weights are taken that do not depend on the number of classes; or
            "random".
        arch: Architecture of the detector.
        size: Length in pixels to which the shorter side of an image is brought.
        num_classes: Number of classes with the background.
        seed: Seed of the weights that are drawn.

    Returns:
        The model in eval mode, and the origin of its weights (see `pipeline.weights.origin`).

    Raises:
        PipelineError: There is no such file, or it holds another architecture.
    """
    model = random_detector(arch, num_classes, size, seed)
    if weights == "random":
        return model, RANDOM
    trained, _, start = load_pretrained(weights, arch, size, seed)
    own = class_tensors(arch, size)
    model.load_state_dict(model.state_dict() | {k: v for k, v in trained.state_dict().items() if k not in own})
    eps = {module.eps for module in trained.modules() if isinstance(module, nn.BatchNorm2d)}
    if len(eps) == 1:
        _set_eps(model, eps.pop())
    return model, start


def save_detector(model: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    """Write `weights.safetensors` with metadata from `detector_metadata`; it is renamed into place when complete."""
    save_weights(model.state_dict(), path, metadata)


def detector_metadata(model: nn.Module, arch: str, size: int, categories: Sequence[str], origin: str) -> dict[str, str]:
    """Metadata of the file that a detector is saved in.

    Args:
        model: The detector.
        arch: Architecture of the detector.
        size: Length in pixels to which the shorter side of an image was brought.
        categories: Names of its classes, the background first.
        origin: Origin of the weights (see `pipeline.weights.origin`).
    """
    metadata = {"kind": "detector", "arch": arch, "size": str(size), "origin": origin}
    metadata["categories"] = json.dumps(list(categories))
    eps = {module.eps for module in model.modules() if isinstance(module, nn.BatchNorm2d)}
    if eps == {0.0}:
        metadata["batch_norm_eps"] = "0.0"
    return metadata


def class_names(arch: str, num_classes: int) -> list[str]:
    """Names of the classes of torchvision's published weights, if the number fits; otherwise numbers as names."""
    published = [] if arch == SMALL else list(get_model_weights(arch).DEFAULT.meta["categories"])
    return published if len(published) == num_classes else ["background", *map(str, range(1, num_classes))]


def class_tensors(arch: str, size: int) -> dict[str, tuple[int, int, int]]:
    """Find the parameters whose size depends on the number of classes.

    Returns:
        For each of these parameters, by name: the dimension that grows, its length for two classes, and how much longer
        it is for every further class.
    """
    with torch.device("meta"):  # without memory: only shapes are needed
        two, three = (_construct(arch, num_classes, size).state_dict() for num_classes in (2, 3))
    found = {}
    for key, value in two.items():
        grown = [dim for dim, length in enumerate(value.shape) if three[key].shape[dim] != length]
        if grown:
            length = value.shape[grown[0]]
            found[key] = (grown[0], length, three[key].shape[grown[0]] - length)
    return found


def _count_classes(file: str, arch: str, size: int, state: Mapping[str, Tensor]) -> int:
    """Number of classes of a state dict, background included, read off the first parameter that depends on it.

    Raises:
        PipelineError: The state dict lacks this parameter, or the parameter fits no number of classes.
    """
    key, (dim, length, step) = next(iter(class_tensors(arch, size).items()))
    if key not in state or state[key].dim() <= dim:
        raise PipelineError(
            f"{file} holds another architecture than {arch}: it has no {key}, but {some(sorted(state))}"
        )
    classes, rest = divmod(state[key].shape[dim] - length, step)
    if rest or classes < -1:
        raise PipelineError(
            f"{file} holds another architecture than {arch}: {key} is {list(state[key].shape)}, which fits no "
            "number of classes"
        )
    return 2 + classes


def _set_eps(model: nn.Module, eps: float) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = eps

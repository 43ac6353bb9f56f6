import logging
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import detection, get_model, list_models
from torchvision.ops import MultiScaleRoIAlign

from pipeline.errors import PipelineError
from pipeline.models.detector import (
    SMALL,
    build_detector,
    class_names,
    class_tensors,
    detector_metadata,
    load_detector,
    load_pretrained,
    random_detector,
    save_detector,
    starting_detector,
)

SIZE = 32
MOBILE = "fasterrcnn_mobilenet_v3_large_320_fpn"


def save(model: nn.Module, path: Path, categories: list[str]) -> Path:
    save_detector(model, path, detector_metadata(model, SMALL, SIZE, categories, "random"))
    return path


def equal(one: nn.Module, other: nn.Module) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def test_the_seed_alone_decides_random_weights():
    state = torch.random.get_rng_state()
    first = random_detector(SMALL, 3, SIZE, seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(1)
    assert equal(first, random_detector(SMALL, 3, SIZE, seed=1))
    assert not equal(first, random_detector(SMALL, 3, SIZE, seed=2))
    assert not first.training


def test_saved_weights_come_back_with_the_names_of_their_classes(tmp_path: Path):
    model = random_detector(SMALL, 3, SIZE, seed=1)
    path = save(model, tmp_path / "weights.safetensors", ["background", "circle", "star"])
    loaded, categories = load_detector(path, SMALL, SIZE)
    assert categories == ["background", "circle", "star"]
    assert equal(model, loaded)
    image = torch.rand(3, 40, 33, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for name, value in model([image])[0].items():
            assert torch.equal(value, loaded([image])[0][name])


def test_a_state_dict_of_torchvision_loads_whatever_its_number_of_classes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    model = get_model(MOBILE, weights=None, weights_backbone=None, num_classes=7)
    torch.save(model.state_dict(), tmp_path / "seven.pth")
    loaded, categories = load_detector(tmp_path / "seven.pth", MOBILE, 320, level=logging.INFO)
    assert equal(model, loaded)
    assert categories == ["background", "1", "2", "3", "4", "5", "6"]
    assert f"{len(model.state_dict())} tensors" in caplog.messages[0].splitlines()[-1]


def test_published_classes_have_names():
    assert class_names(MOBILE, 91)[:3] == ["__background__", "person", "bicycle"]


@pytest.mark.parametrize("arch", [SMALL, *list_models(module=detection)])
def test_the_parameters_that_depend_on_the_classes_are_found(arch: str):
    """By their shapes alone: the models have no memory."""
    size = {"ssd300_vgg16": 300}.get(arch, 320)
    with torch.device("meta"):
        seven = (
            get_model(arch, weights=None, weights_backbone=None, num_classes=7).state_dict() if arch != SMALL else None
        )
    found = class_tensors(arch, size)
    assert found
    if seven is not None:
        for key, (dim, length, step) in found.items():
            assert seven[key].shape[dim] == length + 5 * step


def test_another_architecture_is_refused_with_what_differs(tmp_path: Path):
    path = save(random_detector(SMALL, 3, SIZE, seed=1), tmp_path / "weights.safetensors", ["background", "a", "b"])
    with pytest.raises(PipelineError, match=f"holds the architecture {SMALL}, expected {MOBILE}"):
        load_detector(path, MOBILE, 320)
    state = load_detector(path, SMALL, SIZE)[0].state_dict()
    torch.save(state, tmp_path / "small.pth")
    with pytest.raises(PipelineError, match=r"another architecture than .*missing: backbone\.body\.0"):
        load_detector(tmp_path / "small.pth", MOBILE, 320)
    torch.save({f"model.{key}": value for key, value in state.items()}, tmp_path / "prefixed.pth")
    with pytest.raises(PipelineError, match=r"has no roi_heads\.box_predictor\.cls_score\.weight"):
        load_detector(tmp_path / "prefixed.pth", SMALL, SIZE)
    state["roi_heads.box_head.fc7.weight"] = state["roi_heads.box_head.fc7.weight"][:, :-1]
    torch.save(state, tmp_path / "narrow.pth")
    with pytest.raises(
        PipelineError, match=r"shapes: roi_heads\.box_head\.fc7\.weight is \[256, 255\], not \[256, 256\]"
    ):
        load_detector(tmp_path / "narrow.pth", SMALL, SIZE)


def test_what_cannot_be_a_detector_is_refused(tmp_path: Path):
    with pytest.raises(PipelineError, match="there is no file"):
        load_pretrained(str(tmp_path / "none.pth"), SMALL, SIZE, 1)
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(PipelineError, match="cannot be read as weights"):
        load_detector(tmp_path / "text.pth", SMALL, SIZE)
    with pytest.raises(PipelineError, match="'yolo' is no detection model: write fasterrcnn_resnet18_fpn or one of"):
        build_detector("yolo", 2, SIZE)
    with pytest.raises(PipelineError, match="ssd300_vgg16 takes images of 300 pixels alone"):
        build_detector("ssd300_vgg16", 2, 64)


def test_weights_of_frozen_batch_norm_keep_its_epsilon(tmp_path: Path):
    """torchvision published four models whose batch norm adds nothing to the variance, and which count no batches."""
    arch = "retinanet_resnet50_fpn"
    state = random_detector(arch, 3, SIZE, seed=1).state_dict()
    torch.save({key: value for key, value in state.items() if "num_batches" not in key}, tmp_path / "frozen.pth")
    frozen, _ = load_detector(tmp_path / "frozen.pth", arch, SIZE)
    assert {module.eps for module in frozen.modules() if isinstance(module, nn.BatchNorm2d)} == {0.0}
    metadata = detector_metadata(frozen, arch, SIZE, ["background", "a", "b"], "file")
    save_detector(frozen, tmp_path / "frozen.safetensors", metadata)
    again, _ = load_detector(tmp_path / "frozen.safetensors", arch, SIZE)
    assert {module.eps for module in again.modules() if isinstance(module, nn.BatchNorm2d)} == {0.0}
    torch.save(state, tmp_path / "counted.pth")
    counted, _ = load_detector(tmp_path / "counted.pth", arch, SIZE)
    assert {module.eps for module in counted.modules() if isinstance(module, nn.BatchNorm2d)} == {1e-5}


def test_pooling_knows_its_strides_before_the_first_image():
    model = random_detector(SMALL, 2, SIZE, seed=1)
    pool = next(module for module in model.modules() if isinstance(module, MultiScaleRoIAlign))
    assert pool.scales == [1 / 8, 1 / 16]
    with torch.inference_mode():
        model([torch.rand(3, 65, 65)])  # padded to 96: 12 / 65 would be taken for a stride of 4
    assert pool.scales == [1 / 8, 1 / 16]


def test_training_starts_from_all_of_a_file_but_its_classes(tmp_path: Path):
    path = save(random_detector(SMALL, 5, SIZE, seed=1), tmp_path / "weights.safetensors", list("abcde"))
    model, origin = starting_detector(str(path), SMALL, SIZE, num_classes=3, seed=2)
    assert origin.startswith("file weights.safetensors sha256 ")
    drawn, trained = (
        random_detector(SMALL, 3, SIZE, seed=2).state_dict(),
        load_detector(path, SMALL, SIZE)[0].state_dict(),
    )
    own = class_tensors(SMALL, SIZE)
    assert set(own) == {
        f"roi_heads.box_predictor.{name}"
        for name in ("cls_score.weight", "cls_score.bias", "bbox_pred.weight", "bbox_pred.bias")
    }
    for key, value in model.state_dict().items():
        assert torch.equal(value, drawn[key] if key in own else trained[key])
    fresh, origin = starting_detector("random", SMALL, SIZE, num_classes=3, seed=2)
    assert origin == "random"
    assert equal(fresh, random_detector(SMALL, 3, SIZE, seed=2))

"""Weights that a recognizer begins with: of experiments and of published files."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toys.checkpoints import as_caffe2, as_pytorchvideo, as_slowfast, as_tsm, random_state, write_caffe2
from toys.recognizers import DYREG, RSTG, SIMPLE, TSM, VIDEO, recognizer_settings

from pipeline.errors import PipelineError
from pipeline.recognition.backbones import frame_resnet, video_resnet
from pipeline.recognition.dyreg import RENAMES
from pipeline.recognition.model_file import describe
from pipeline.recognition.pretrained import load_backbone
from pipeline.recognition.published import published_name
from pipeline.recognition.recognizer import Recognizer, build_recognizer
from pipeline.weights.saving import save_weights


def test_the_backbone_of_an_experiment_is_taken_over_and_nothing_else(tmp_path: Path) -> None:
    digits = recognizer_settings({**SIMPLE, "seed": 2}, frames=1)
    teacher = build_recognizer(digits, {"class": 10})
    save_weights(
        teacher.state_dict(), tmp_path / "model.safetensors", describe(digits, {"class": ["a"] * 10}, "random")
    )
    settings = recognizer_settings({**SIMPLE, "weights": {"experiment": "digits"}}, {**RSTG, "at": "final"})
    student = build_recognizer(settings, {"class": 46})
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    assert load_backbone(student, tmp_path / "model.safetensors", settings) == "random"
    for name, tensor in student.state_dict().items():
        origin = teacher.state_dict() if name.startswith("backbone.") else before
        assert torch.equal(tensor, origin[name]), name


def test_an_experiment_with_another_backbone_is_refused(tmp_path: Path) -> None:
    digits = recognizer_settings({**SIMPLE, "filters": 4, "pixels": "raw"})
    state = build_recognizer(digits, {"class": 2}).state_dict()
    save_weights(state, tmp_path / "model.safetensors", describe(digits, {"class": ["a", "b"]}, "random"))
    settings = recognizer_settings({**SIMPLE, "weights": {"experiment": "digits"}})
    student = build_recognizer(settings, {"class": 2})
    with pytest.raises(PipelineError, match=r"experiment digits has another backbone \(filters: 4, not 8, pixels: raw"):
        load_backbone(student, tmp_path / "model.safetensors", settings)


def test_a_word_that_is_no_file_is_refused_and_random_weights_stay(tmp_path: Path) -> None:
    settings = recognizer_settings(SIMPLE)
    model = build_recognizer(settings, {"class": 2})
    assert load_backbone(model, None, settings) == "random"
    word = recognizer_settings({**TSM, "weights": "imagenet"})
    with pytest.raises(PipelineError, match="weights: imagenet is no file"):
        load_backbone(model, None, word)
    with pytest.raises(PipelineError, match="nobody has published a simple_conv"):
        load_backbone(model, tmp_path / "x.pth", recognizer_settings({**SIMPLE, "weights": "x.pth"}))


WIDTHS = (4, 8, 12, 16)
CLASSES = {"class": ["a", "b", "c"]}
ALL_BLOCKS = {f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)}
R3D = {"kind": "torchvision", "arch": "r3d_18", "weights": "random", "head": "weights", "seed": 1}
FRAMES = 8
SEED = {"seed": 2}  # of another backbone than the one of the file


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (frame_resnet, video_resnet):
        monkeypatch.setattr(module, "WIDTHS", WIDTHS)


def loaded(path: Path, backbone: dict[str, Any], *modules: dict[str, Any], classes: Any = CLASSES) -> Recognizer:
    settings = recognizer_settings({**backbone, "weights": str(path)}, *modules, frames=FRAMES)
    made = build_recognizer(settings, {name: len(names) for name, names in CLASSES.items()})
    origin = load_backbone(made, path, settings, classes)
    assert origin.startswith(f"file {path.name} sha256 ")
    assert made.training
    return made


def fresh(backbone: dict[str, Any], *modules: dict[str, Any]) -> Recognizer:
    return build_recognizer(recognizer_settings({**backbone, **SEED}, *modules, frames=FRAMES), {"class": 3})


def same(made: Recognizer, state: dict[str, torch.Tensor]) -> None:
    own = made.backbone.state_dict()
    assert state.keys() <= own.keys()
    for name, tensor in state.items():
        torch.testing.assert_close(own[name], tensor, atol=0, rtol=1e-6)


def test_a_resnet_of_photographs_becomes_one_of_frames(tmp_path: Path) -> None:
    state = random_state(fresh(TSM).backbone)
    head = {"fc.weight": torch.rand(1000, 16), "fc.bias": torch.rand(1000)}
    torch.save(state | head, tmp_path / "resnet18.pth")
    same(loaded(tmp_path / "resnet18.pth", TSM), state)
    three = {name: tensor for name, tensor in state.items() if not name.startswith("layer4")}
    same(loaded(tmp_path / "resnet18.pth", {**TSM, "stages": 3}), three)
    with pytest.raises(PipelineError, match=r"1000 classes, not 3: write head: drawn"):
        loaded(tmp_path / "resnet18.pth", {**TSM, "head": "weights"})
    with pytest.raises(PipelineError, match=r"shapes: conv1\.weight is \[4, 3, 7, 7\], not \[4, 1, 7, 7\]"):
        loaded(tmp_path / "resnet18.pth", {**TSM, "colours": 1})


@pytest.mark.parametrize("kind", ["c2d", "i3d", "nonlocal"])
def test_an_inflated_resnet_sees_a_still_clip_as_the_photograph(tmp_path: Path, kind: str) -> None:
    photographs = fresh({**TSM, "depth": 50, "shift_share": 0.0, "pixels": "nonlocal"})
    state = random_state(photographs.backbone)
    state = {name: tensor / 9 if name.endswith("conv2.weight") else tensor / 3 for name, tensor in state.items()}
    photographs.backbone.load_state_dict(state, strict=False)
    torch.save(state | {"fc.weight": torch.rand(9, 64), "fc.bias": torch.rand(9)}, tmp_path / "resnet50.pth")
    made = loaded(tmp_path / "resnet50.pth", {**VIDEO, "kind": kind}).eval()
    x = torch.randint(0, 256, (1, 1, 3, 64, 64)).expand(-1, 16, -1, -1, -1)
    with torch.no_grad():
        stem = photographs.backbone.bn1.eval()(photographs.backbone.conv1(photographs.pixels(x[:, 0])))
        inflated = made.backbone.bn1(made.backbone.conv1(made.pixels(x).transpose(1, 2)))
    torch.testing.assert_close(inflated[:, :, 8], stem, atol=1e-4, rtol=1e-4)  # away from the ends, which are padded
    own = made.backbone.state_dict()
    steps = own["layer1.0.conv1.weight"].shape[2]
    assert steps == (1 if kind == "c2d" else 3)
    torch.testing.assert_close(own["layer1.0.conv1.weight"].sum(2), state["layer1.0.conv1.weight"])


def test_tsm_is_loaded_with_its_head_if_its_classes_are_in_order(tmp_path: Path) -> None:
    state = random_state(fresh(TSM).backbone)
    checkpoint = as_tsm(state, 3, ALL_BLOCKS)
    beside = {"epoch": 45, "arch": "resnet18", "args": argparse.Namespace(lr=0.01), "state_dict": checkpoint}
    for number, zipped in enumerate((True, False)):
        path = tmp_path / f"TSM_{number}.pth.tar"
        torch.save(beside, path, _use_new_zipfile_serialization=zipped)
        made = loaded(path, {**TSM, "head": "weights"})
        same(made, state)
        assert torch.equal(made.heads["class"].weight, checkpoint["module.new_fc.weight"])
    with pytest.raises(PipelineError, match=r"classes in alphabetical order.*label_order"):
        loaded(path, {**TSM, "head": "weights"}, classes={"class": ["b", "a", "c"]})
    with pytest.raises(PipelineError, match=r"shifts channels in 8 blocks, and the settings \(shift_share: 0\.0"):
        loaded(path, {**TSM, "shift_share": 0.0})
    with pytest.raises(PipelineError, match=r"takes pixels: imagenet, not half"):
        loaded(path, {**TSM, "pixels": "half"})
    with pytest.raises(PipelineError, match=r"is for backbone: kind: tsm, not i3d"):
        loaded(path, VIDEO)
    del checkpoint["module.base_model.layer1.1.bn2.bias"]
    torch.save({"state_dict": checkpoint | {"module.base_model.gate": torch.ones(1)}}, path)
    with pytest.raises(PipelineError, match=r"of these settings: missing: layer1\.1\.bn2\.bias; unknown: gate"):
        loaded(path, TSM)


def test_modules_of_a_tsm_with_dyreg_are_loaded_in_place(tmp_path: Path) -> None:
    module = {**DYREG, "at": "layer2.1", "inside": True}
    source = fresh(TSM, module)
    state = random_state(source.backbone)
    graph = {published_name(name, RENAMES): torch.rand(tensor.shape)
             for name, tensor in source.graph("layer2.1 inside").state_dict().items()}  # fmt: skip
    torch.save({"state_dict": as_tsm(state, 3, ALL_BLOCKS, {"layer2.1": graph})}, tmp_path / "dyreg.pth")
    made = loaded(tmp_path / "dyreg.pth", TSM, module)
    same(made, state)
    for name, tensor in made.graph("layer2.1 inside").state_dict().items():
        assert torch.equal(tensor, graph[published_name(name, RENAMES)]), name
    with pytest.raises(PipelineError, match=r"has a dyreg module inside layer2\.1, and modules has none there"):
        loaded(tmp_path / "dyreg.pth", TSM)
    with pytest.raises(PipelineError, match=r"at layer2\.1: these tensors are not those of this DyReg module"):
        loaded(tmp_path / "dyreg.pth", TSM, {**module, "node_dim": 4})


VIDEO_LAYOUTS: dict[str, tuple[Callable[[Any, int], Any], dict[str, Any]]] = {
    "PySlowFast": (as_slowfast, VIDEO),
    "PySlowFast, Non-local": (as_slowfast, {**VIDEO, "kind": "nonlocal"}),
    "pytorchvideo": (as_pytorchvideo, {**VIDEO, "geometry": "pytorchvideo"}),
    "pytorchvideo, C2D": (as_pytorchvideo, {**VIDEO, "kind": "c2d", "geometry": "pytorchvideo"}),
}


@pytest.mark.parametrize("layout", VIDEO_LAYOUTS)
def test_networks_over_time_are_loaded_from_those_who_published_them(tmp_path: Path, layout: str) -> None:
    write, backbone = VIDEO_LAYOUTS[layout]
    state = random_state(fresh(backbone).backbone)
    checkpoint = write(state, 3)
    cfg = "DATA: {NUM_FRAMES: 8, SAMPLING_RATE: 8, REVERSE_INPUT_CHANNEL: false}\nMODEL: {ARCH: i3d}"
    torch.save({"model_state": checkpoint, "epoch": 1, "cfg": cfg}, tmp_path / "x.pyth")
    made = loaded(tmp_path / "x.pyth", {**backbone, "head": "weights"})
    same(made, state)
    assert torch.equal(made.heads["class"].weight, next(x for name, x in checkpoint.items() if "proj" in name))
    with pytest.raises(PipelineError, match=r"another geometry than the settings: write geometry: .*, not rstg"):
        loaded(tmp_path / "x.pyth", {**backbone, "geometry": "rstg"})
    other = "i3d" if backbone["kind"] != "i3d" else "c2d"
    with pytest.raises(PipelineError, match=rf"is not backbone: kind: {other} of these settings: (shapes|unknown): "):
        loaded(tmp_path / "x.pyth", {**backbone, "kind": other})


def test_colours_in_another_order_are_refused_or_turned(tmp_path: Path) -> None:
    state = random_state(fresh(VIDEO).backbone)
    something = as_slowfast(state, 174)  # Something-Something, which PySlowFast trains on BGR
    torch.save({"model_state": something}, tmp_path / "a.pyth")
    cfg = "DATA:\n  NUM_FRAMES: 8\n  SAMPLING_RATE: 8\n  REVERSE_INPUT_CHANNEL: true\n"
    torch.save({"model_state": as_slowfast(state, 3), "cfg": cfg}, tmp_path / "b.pyth")
    for name in ("a.pyth", "b.pyth"):
        with pytest.raises(PipelineError, match=r"takes colours in the order BGR: write channels: bgr, not rgb"):
            loaded(tmp_path / name, VIDEO)
        made = loaded(tmp_path / name, {**VIDEO, "channels": "bgr"})
        assert torch.equal(made.backbone.conv1.weight, state["conv1.weight"].flip(1))


def test_clips_of_another_geometry_are_refused(tmp_path: Path) -> None:
    state = random_state(fresh(VIDEO).backbone)
    cfg = "DATA: {NUM_FRAMES: 32, SAMPLING_RATE: 2}"
    torch.save({"model_state": as_slowfast(state, 3), "cfg": cfg}, tmp_path / "a.pyth")
    torch.save({"model_state": as_slowfast(state, 3)}, tmp_path / "I3D_32x2_R50.pyth")
    for name in ("a.pyth", "I3D_32x2_R50.pyth"):
        with pytest.raises(PipelineError, match=r"another geometry: it is for clip: 32x2, not 8x8"):
            loaded(tmp_path / name, VIDEO)


@pytest.mark.parametrize("affine", [True, False])
def test_what_caffe2_wrote_is_loaded_with_or_without_statistics(tmp_path: Path, affine: bool) -> None:
    geometry = "video_nonlocal_net_affine" if affine else "video_nonlocal_net"
    backbone = {**VIDEO, "kind": "nonlocal", "geometry": geometry, "clip": "32x2"}
    state = random_state(fresh(backbone).backbone)
    write_caffe2(tmp_path / "run_i3d_nlnet_32x2.pkl", as_caffe2(state, 3, affine))
    made = loaded(tmp_path / "run_i3d_nlnet_32x2.pkl", {**backbone, "head": "weights"})
    own = made.backbone.state_dict()
    if affine:
        norms = [name.removesuffix(".running_mean") for name in own if name.endswith("running_mean")]
        x = torch.rand(2, 8, 1, 1, 1)
        for norm in norms:
            found = made.backbone.get_submodule(norm).eval()(
                x[:, :1].expand(-1, own[f"{norm}.weight"].numel(), 1, 1, 1)
            )
            plain = x[:, :1] * state[f"{norm}.weight"].view(1, -1, 1, 1, 1) + state[f"{norm}.bias"].view(1, -1, 1, 1, 1)
            torch.testing.assert_close(found, plain)
        state = {name: x for name, x in state.items() if "bn" not in name and "downsample.1" not in name}
    same(made, state)
    other = {**backbone, "geometry": "video_nonlocal_net" if affine else "video_nonlocal_net_affine"}
    with pytest.raises(PipelineError, match="another geometry than the settings"):
        loaded(tmp_path / "run_i3d_nlnet_32x2.pkl", other)
    with pytest.raises(PipelineError, match="it is for clip: 32x2, not 8x8"):
        loaded(tmp_path / "run_i3d_nlnet_32x2.pkl", {**backbone, "clip": "8x8"})


def test_networks_of_torchvision_are_loaded_with_their_heads(tmp_path: Path) -> None:
    state = random_state(fresh(R3D).backbone)
    head = {"fc.weight": torch.rand(3, 512), "fc.bias": torch.rand(3)}
    torch.save({name.removeprefix("net."): x for name, x in state.items()} | head, tmp_path / "r3d_18.pth")
    made = loaded(tmp_path / "r3d_18.pth", R3D)
    same(made, state)
    assert torch.equal(made.heads["class"].bias, head["fc.bias"])
    with pytest.raises(PipelineError, match="is not backbone: kind: torchvision of these settings: shapes"):
        loaded(tmp_path / "r3d_18.pth", {**R3D, "arch": "mc3_18"})


@pytest.mark.parametrize(("names", "message"), [
    (["s1.pathway0_stem.conv.weight", "s1.pathway1_stem.conv.weight"], "SlowFast network of two pathways"),
    (["blocks.0.conv.weight", "blocks.5.proj.weight"], "pytorchvideo's Slow network"),
    (["base_model.layer2.0.nl.theta.weight", "base_model.conv1.weight"], "TSM network with non-local blocks"),
    (["encoder.blocks.0.norm1.weight"], "of no known layout of recognizers"),
])  # fmt: skip
def test_other_networks_are_called_what_they_are(tmp_path: Path, names: list[str], message: str) -> None:
    torch.save({name: torch.zeros(2) for name in names}, tmp_path / "x.pth")
    with pytest.raises(PipelineError, match=message) as caught:
        loaded(tmp_path / "x.pth", TSM)
    assert "\n" not in str(caught.value)

"""The experts of a published CAST, taken out of its checkpoint as encoders."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn
from toys.experts import CLIP_ARCH, MAE_ARCH, cast_settings, write_experts

from pipeline.config import ClipTowerSettings, VideoMaeSettings
from pipeline.errors import PipelineError
from pipeline.recognition.cast import RENAMES
from pipeline.recognition.cast_recognizer import CastRecognizer, build_over, read_experts
from pipeline.recognition.cast_weights import load_part
from pipeline.recognition.published import published_name
from pipeline.recognition.towers.cast_layout import expert_of_cast, is_cast
from pipeline.stages import import_weights

HEADS = {"class": 3}
TOWER = CLIP_ARCH["vision"] | {"activation": "quick_gelu"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> CastRecognizer:
    """A CAST none of whose tensors is as it was drawn, the biases of its experts among them."""
    experts = read_experts(*write_experts(tmp_path_factory.mktemp("experts")))
    model = build_over(experts, cast_settings(), HEADS)
    torch.manual_seed(2)
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0.0, 0.1)
    return model.eval()


@pytest.fixture
def state(source: CastRecognizer) -> dict[str, Tensor]:
    return {published_name(name, RENAMES): tensor.clone() for name, tensor in source.state_dict().items()}


def imported(path: Path, folder: Path, tower: dict[str, object] = TOWER) -> tuple[Path, Path]:
    spatial = {"kind": "clip_tower", "weights": str(path), "arch": tower}
    temporal = {"kind": "videomae", "weights": str(path), "seed": 1, "arch": MAE_ARCH, "pretrain": None}
    made = folder / "spatial.safetensors", folder / "temporal.safetensors"
    run = import_weights.run
    run(made[0], ClipTowerSettings.model_validate_json(json.dumps(spatial)), [], [])
    run(made[1], VideoMaeSettings.model_validate_json(json.dumps(temporal | {"precision": "fp32"})), [], [])
    return made


@pytest.mark.parametrize("wrapper", ["module", "model", None])
def test_both_experts_are_encoders_as_they_stand_in_the_file(
    source: CastRecognizer, state: dict[str, Tensor], tmp_path: Path, wrapper: str | None
) -> None:
    torch.save(state if wrapper is None else {wrapper: state}, tmp_path / "cast.pth")
    made = imported(tmp_path / "cast.pth", tmp_path)
    read = read_experts(*made)
    own = read.body.state_dict()
    assert own.keys() == source.body.state_dict().keys()
    assert all(torch.equal(tensor, own[name]) for name, tensor in source.body.state_dict().items())
    assert torch.equal(read.norm["weight"], source.part.norms["spatial"].weight)  # which CAST has trained
    for path, kind in zip(made, ("clip_tower", "videomae"), strict=True):
        with safe_open(path, "pt") as file:
            said = file.metadata()
        assert said["kind"] == kind
        assert said["origin"].startswith("file cast.pth sha256 ")
    with safe_open(made[0], "pt") as file:
        assert json.loads(file.metadata()["arch"]) == TOWER


def test_the_published_model_is_scored_over_experts_of_its_own_file(
    source: CastRecognizer, state: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save({"module": state}, tmp_path / "cast.pth")
    experts = read_experts(*imported(tmp_path / "cast.pth", tmp_path))
    settings = cast_settings(weights="cast.pth", head="weights")
    model = build_over(experts, settings, HEADS)
    load_part(model, tmp_path / "cast.pth", settings, experts, {"class": ["a", "b", "c"]})
    x = torch.randint(0, 256, (1, 8, 3, 32, 32), generator=torch.Generator().manual_seed(4), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(model.eval()(x)["class"], source(x)["class"])


def test_every_tensor_is_an_expert_s_or_was_trained(state: dict[str, Tensor]) -> None:
    assert is_cast(state)
    of_both = {}
    for stream in ("spatial", "temporal"):
        own, left_out = expert_of_cast(state, stream)
        assert len(own) + len(left_out) == len(state)
        of_both[stream] = left_out
    trained = of_both["spatial"].keys() & of_both["temporal"].keys()
    assert {name.split(".")[0] for name in trained} == {
        "blocks", "vmae_fc_norm", "noun_last_Adapter", "verb_last_Adapter", "head",
    }  # fmt: skip
    assert set(of_both["temporal"].values()) == {"of the spatial expert", "what CAST has trained over its experts"}


def test_a_file_that_does_not_fit_is_refused_in_a_line(state: dict[str, Tensor], tmp_path: Path) -> None:
    zero = {name: tensor * 0 if name.endswith(".attn.q_bias") else tensor for name, tensor in state.items()}
    lost = {name: tensor for name, tensor in state.items() if not name.endswith(".attn.v_bias")}
    blind = {name: tensor for name, tensor in state.items() if name != "blocks.1.clip_mlp.c_fc.bias"}
    cases = [
        (zero, TOWER, r"all biases of queries \(q_bias\) are 0 or missing, which no trained VideoMAE has"),
        (lost, TOWER, r"all biases of values \(v_bias\) are 0 or missing"),
        (blind, TOWER, r"no image tower of CLIP of .*missing: .*blocks\.1\.mlp\.c_fc\.bias"),
        (state | {"blocks.0.gate": torch.ones(1)}, TOWER, r"unknown: .*blocks\.0\.gate"),
        (state, TOWER | {"layers": 3}, r"has an image tower of layers 2, not 3: write its own sizes into `arch`"),
        (state, TOWER | {"image_size": 48}, r"has an image tower of image_size 32, not 48: write"),
    ]
    for held, tower, message in cases:
        torch.save({"module": held}, tmp_path / "cast.pth")
        with pytest.raises(PipelineError, match=message) as caught:
            imported(tmp_path / "cast.pth", tmp_path, tower)
        assert "\n" not in str(caught.value)
        assert "cast.pth" in str(caught.value)


def test_a_tower_of_random_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="a tower of random weights is one of `kind: clip4clip`"):
        ClipTowerSettings.model_validate({"kind": "clip_tower", "weights": "random", "arch": TOWER})

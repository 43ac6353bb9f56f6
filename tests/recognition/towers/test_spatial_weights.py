"""CLIP's image tower as open_clip and transformers compute it, from every form in which it was published."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from open_clip.model import CLIP
from safetensors.torch import save_file
from torch import Tensor, nn
from toys.torchscript import Gelu, Part, write_torchscript
from transformers import CLIPVisionConfig, CLIPVisionModel

from pipeline.errors import PipelineError
from pipeline.models.clip4clip import load_pretrained, save_clip4clip
from pipeline.recognition.towers.spatial import SpatialTower
from pipeline.recognition.towers.spatial_weights import read_spatial

ARCH = {
    "embed_dim": 8,
    "vision": {"image_size": 32, "patch_size": 16, "width": 48, "heads": 4, "layers": 2},
    "text": {"context_length": 8, "vocab_size": 20, "width": 8, "heads": 2, "layers": 1},
}
RESNET = {**ARCH, "vision": {"image_size": 32, "patch_size": None, "width": 8, "heads": 4, "layers": [1, 1, 1, 1]}}
VISION = {"image_size": 32, "patch_size": 16, "width": 48, "layers": 2, "head_width": 12}
OPENAI_SIZES = {"input_resolution": torch.tensor(32), "context_length": torch.tensor(8), "vocab_size": torch.tensor(20)}


def filled(model: nn.Module) -> nn.Module:
    """Each parameter drawn anew, as gains and biases begin with ones and zeros."""
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0.0, 0.2, generator=generator)
    return model.eval()


def open_clip_model(*, quick_gelu: bool = True) -> CLIP:
    return filled(CLIP(8, VISION, {**ARCH["text"]}, quick_gelu=quick_gelu))


def frames() -> Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(5))


def class_tokens(tower: SpatialTower, norm: dict[str, Tensor]) -> Tensor:
    """What CLIP projects, of each frame."""
    return nn.functional.layer_norm(tower(frames())[:, 0], (48,), norm["weight"], norm["bias"])


def as_transformers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Published files have a prefix, and numbers of places, which newer releases leave out."""
    numbers = {"vision_model.embeddings.position_ids": torch.arange(5)[None]}
    beside = {"text_model.final_layer_norm.weight": torch.ones(8), "visual_projection.weight": torch.ones(8, 48)}
    return {f"vision_model.{name}": tensor for name, tensor in state.items()} | numbers | beside


@pytest.mark.parametrize("quick_gelu", [True, False], ids=["quick_gelu", "gelu"])
def test_the_class_tokens_are_those_of_open_clip_and_of_transformers(tmp_path: Path, quick_gelu: bool) -> None:
    theirs = open_clip_model(quick_gelu=quick_gelu)
    activation = "quick_gelu" if quick_gelu else "gelu"
    torch.save(theirs.state_dict(), tmp_path / "clip.pt")
    expert = read_spatial(tmp_path / "clip.pt", heads=4, activation=activation)
    config = CLIPVisionConfig(
        hidden_size=48, intermediate_size=192, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=16,
        hidden_act=activation,
    )  # fmt: skip
    others = filled(CLIPVisionModel(config))
    save_file(others.state_dict(), tmp_path / "new.safetensors")
    save_file(as_transformers(others.state_dict()), tmp_path / "old.safetensors")
    with torch.no_grad():
        projected = class_tokens(expert.tower, expert.norm) @ theirs.visual.proj
        torch.testing.assert_close(projected, theirs.visual(frames()), atol=1e-5, rtol=1e-4)
        expected = others(pixel_values=frames()).pooler_output
        for name in ("new", "old"):
            expert = read_spatial(tmp_path / f"{name}.safetensors", heads=4, activation=activation)
            torch.testing.assert_close(class_tokens(expert.tower, expert.norm), expected, atol=1e-5, rtol=1e-4)


LAYOUTS: dict[str, Callable[[dict[str, Tensor]], dict[str, Tensor]]] = {
    "OpenAI's": lambda state: state | OPENAI_SIZES,
    "half precision": lambda state: {name: x.half() for name, x in state.items()} | OPENAI_SIZES,
    "CLIP4Clip's": lambda state: {f"clip.{name}": x for name, x in state.items()} | {"cross.x": torch.zeros(1)},
    "image tower alone": lambda state: {
        name.removeprefix("visual."): x for name, x in state.items() if name.startswith("visual.")
    },
    "of a training": lambda state: {f"module.{name}": x for name, x in state.items()},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_form_of_clip_gives_the_same_tower(tmp_path: Path, layout: str) -> None:
    source = open_clip_model()
    torch.save(LAYOUTS[layout](source.state_dict()), tmp_path / "x.pt")
    known = None if layout in ("OpenAI's", "half precision", "CLIP4Clip's") else "quick_gelu"
    expert = read_spatial(tmp_path / "x.pt", heads=4, activation=known)
    assert expert.tower.activation == "quick_gelu"
    assert expert.origin.startswith("file x.pt sha256 ")
    exact = {} if layout != "half precision" else {"atol": 1e-3, "rtol": 1e-3}
    torch.testing.assert_close(expert.norm["bias"], source.visual.ln_post.bias.detach(), **exact)
    own = expert.tower.state_dict()
    attention = source.visual.transformer.resblocks[1].attn
    torch.testing.assert_close(own["blocks.1.attn.in_proj.weight"], attention.in_proj_weight.detach(), **exact)
    torch.testing.assert_close(own["positional_embedding"], source.visual.positional_embedding.detach(), **exact)
    assert all(tensor.dtype == torch.float32 for tensor in own.values())


def test_a_torchscript_archive_shows_its_activation(tmp_path: Path) -> None:
    state = open_clip_model().state_dict()
    for part, activation in ((Part, "quick_gelu"), (Gelu, None)):
        path = write_torchscript(state, tmp_path / f"{part.__name__}.pt", part)
        if activation:
            assert read_spatial(path, heads=4).tower.activation == activation
            continue
        with pytest.raises(PipelineError, match="does not say which activation it was trained with"):
            read_spatial(path, heads=4)


def test_an_encoder_of_the_workflow_says_all_itself(tmp_path: Path) -> None:
    for activation in ("quick_gelu", "gelu"):
        made, origin = load_pretrained("random", ARCH | {"activation": activation}, 1)
        filled(made)
        save_clip4clip(made, tmp_path / "weights.safetensors", origin)
        expert = read_spatial(tmp_path / "weights.safetensors")
        assert (expert.tower.heads, expert.tower.activation, expert.origin) == (4, activation, "random")
        with torch.no_grad():
            projected = class_tokens(expert.tower, expert.norm) @ made.visual.proj
            torch.testing.assert_close(projected, made.encode_image(frames()), atol=1e-5, rtol=1e-4)


def refused(path: Path, heads: int | None = 4) -> str:
    with pytest.raises(PipelineError) as caught:
        read_spatial(path, heads=heads, activation="gelu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    save_clip4clip(load_pretrained("random", RESNET, 1)[0], tmp_path / "resnet.safetensors", "random")
    assert "has a ResNet as its image tower" in refused(tmp_path / "resnet.safetensors")
    state = open_clip_model().state_dict()
    name = "visual.transformer.resblocks.1.mlp.c_fc.bias"
    torch.save({key: x for key, x in state.items() if key != name}, tmp_path / "less.pt")
    assert "missing: tower.blocks.1.mlp.c_fc.bias" in refused(tmp_path / "less.pt")
    torch.save(state | {"visual.transformer.resblocks.1.ls_1.gamma": torch.ones(48)}, tmp_path / "more.pt")
    assert "unknown: tower.blocks.1.ls_1.gamma" in refused(tmp_path / "more.pt")
    torch.save(state | {"visual.positional_embedding": torch.ones(8, 48)}, tmp_path / "other.pt")
    assert "tower.positional_embedding is [8, 48], not [5, 48]" in refused(tmp_path / "other.pt")
    assert "does not say how many heads its width of 48 is divided among" in refused(tmp_path / "other.pt", heads=None)
    torch.save({key: x for key, x in state.items() if not key.startswith("visual.")}, tmp_path / "text.pt")
    assert "holds no image tower of CLIP that is a vision transformer" in refused(tmp_path / "text.pt")
    save_file({"a": torch.ones(1)}, tmp_path / "i3d.safetensors", {"kind": "i3d"})
    assert "is no encoder of kind clip4clip or clip_tower but i3d" in refused(tmp_path / "i3d.safetensors")

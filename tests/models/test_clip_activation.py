"""GELU or QuickGELU: the file's own word, then the name's, and never a guess."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from toys.plain_clip import checkpoint_shapes
from toys.torchscript import Gelu, write_torchscript

from pipeline.config import ActiveClipArch, Clip4ClipSettings, parse_settings
from pipeline.errors import PipelineError
from pipeline.models.clip4clip import load_clip4clip, load_pretrained

SMALL = {
    "embed_dim": 24,
    "vision": {"image_size": 32, "patch_size": 16, "width": 32, "heads": 2, "layers": 2},
    "text": {"context_length": 12, "vocab_size": 64, "width": 16, "heads": 2, "layers": 2},
}
SIZES = {"input_resolution": torch.tensor(32), "context_length": torch.tensor(12), "vocab_size": torch.tensor(64)}


def small_state(prefix: str = "") -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = checkpoint_shapes(16, 32, 32, 2, 16, 2, 24, 12) | {"clip.token_embedding.weight": (64, 16)}
    return {
        key.replace("clip.", prefix, 1): (0.3 * torch.randn(shape, generator=generator)).half()
        for key, shape in shapes.items()
    }


@pytest.mark.parametrize(
    ("arch", "activation"),
    [("ViT-B-32", "gelu"), ("ViT-B-32-quickgelu", "quick_gelu"), ("ViT-B-16", "gelu")],
)
def test_a_name_of_open_clip_says_it(tmp_path: Path, arch: str, activation: str) -> None:
    """LAION's file, as the hub has it: OpenAI's names without a word of who trained it."""
    shapes = checkpoint_shapes(16 if "16" in arch else 32, 224, 768, 12, 512, 12, 512)
    hollow = {key.removeprefix("clip."): torch.zeros(()).expand(shape) for key, shape in shapes.items()}
    torch.save({"state_dict": {f"module.{key}": value for key, value in hollow.items()}}, tmp_path / "laion.bin")
    assert load_clip4clip(tmp_path / "laion.bin", arch).activation == activation


def test_sizes_say_it_or_the_file_is_refused(tmp_path: Path) -> None:
    save_file(small_state(), tmp_path / "a.safetensors", {"format": "pt"})
    with pytest.raises(PipelineError, match=r"a\.safetensors does not say which activation .*`activation: quick_gelu`"):
        load_clip4clip(tmp_path / "a.safetensors", SMALL)
    modules = {
        activation: load_clip4clip(tmp_path / "a.safetensors", SMALL | {"activation": activation})
        for activation in ("gelu", "quick_gelu")
    }
    assert {activation: module.activation for activation, module in modules.items()} == {
        "gelu": "gelu",
        "quick_gelu": "quick_gelu",
    }
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        assert not torch.allclose(modules["gelu"].encode_image(image), modules["quick_gelu"].encode_image(image))
    save_file(small_state(), tmp_path / "b.safetensors", {"activation": "relu"})
    with pytest.raises(PipelineError, match="names the activation 'relu', expected one of quick_gelu, gelu"):
        load_clip4clip(tmp_path / "b.safetensors", SMALL)


def test_what_openai_or_clip4clip_wrote_has_quick_gelu(tmp_path: Path) -> None:
    torch.save(small_state("clip."), tmp_path / "pytorch_model.bin")
    torch.save(small_state() | SIZES, tmp_path / "openai.pt")
    for name in ("pytorch_model.bin", "openai.pt"):
        assert load_clip4clip(tmp_path / name, SMALL).activation == "quick_gelu"


def test_openais_archive_is_read_in_single_precision(tmp_path: Path) -> None:
    state = small_state() | SIZES
    write_torchscript(state, tmp_path / "ViT-B-32.pt")
    module, origin = load_pretrained(str(tmp_path / "ViT-B-32.pt"), SMALL, 1)
    assert origin.startswith("file ViT-B-32.pt sha256 ")
    assert module.activation == "quick_gelu"
    found = module.state_dict()
    assert found.keys() == small_state().keys()
    for key, value in found.items():
        assert value.dtype == torch.float32
        assert torch.equal(value, state[key].float())
    write_torchscript(state | SIZES, tmp_path / "other.pt")
    with pytest.raises(PipelineError, match=r"other\.pt \(a TorchScript archive\) holds another architecture\. Found"):
        load_clip4clip(tmp_path / "other.pt", SMALL | {"embed_dim": 25})


def test_an_archive_whose_program_has_gelu_is_not_taken_for_openais(tmp_path: Path) -> None:
    write_torchscript(small_state(), tmp_path / "laion.pt", Gelu)
    with pytest.raises(PipelineError, match="does not say which activation"):
        load_clip4clip(tmp_path / "laion.pt", SMALL)


def test_a_config_may_say_it_with_the_sizes() -> None:
    entry = '{"kind": "clip4clip", "weights": "a.pt", "seed": 1, "finetune": null, "precision": "fp32", "arch": ARCH}'
    sizes = '{"embed_dim": 24, "vision": VISION, "text": TEXT}'
    sizes = sizes.replace("VISION", '{"image_size": 32, "patch_size": 16, "width": 32, "heads": 2, "layers": 2}')
    sizes = sizes.replace("TEXT", '{"context_length": 9, "vocab_size": 64, "width": 16, "heads": 2, "layers": 2}')
    plain = parse_settings(Clip4ClipSettings, entry.replace("ARCH", sizes))
    assert "activation" not in plain.model_dump_json()  # settings of jobs stay as they were
    said = parse_settings(Clip4ClipSettings, entry.replace("ARCH", sizes[:-1] + ', "activation": "gelu"}'))
    assert isinstance(said.arch, ActiveClipArch)
    assert said.arch.activation == "gelu"
    with pytest.raises(PipelineError, match=r"arch.*activation.*'quick_gelu' or 'gelu'"):
        parse_settings(Clip4ClipSettings, entry.replace("ARCH", sizes[:-1] + ', "activation": "relu"}'))

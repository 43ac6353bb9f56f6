from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from open_clip.model import CLIP
from PIL import Image
from torch import Tensor
from toys.plain_clip import checkpoint_shapes, plain_image, plain_text

from pipeline.errors import PipelineError
from pipeline.models import clip4clip
from pipeline.models.clip4clip import (
    Clip4Clip,
    describe,
    load_clip4clip,
    load_pretrained,
    normalise,
    save_clip4clip,
    square_of_shorter_side,
    tokenize,
)

SMALL = {
    "embed_dim": 24,
    "vision": {"image_size": 32, "patch_size": 16, "width": 32, "heads": 2, "layers": 2},
    "text": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}


def small_state(patch: int = 16, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = checkpoint_shapes(patch, 32, 32, 2, 16, 2, 24, 12)
    return {key: (0.3 * torch.randn(shape, generator=generator)).to(dtype) for key, shape in shapes.items()}


def write(path: Path, state: dict[str, Tensor]) -> Path:
    torch.save(state, path)
    return path


@pytest.mark.parametrize("patch", [16, 8])
def test_image_tower_is_the_published_vit(tmp_path: Path, patch: int) -> None:
    state = small_state(patch)
    module = load_clip4clip(
        write(tmp_path / "pytorch_model.bin", state), SMALL | {"vision": SMALL["vision"] | {"patch_size": patch}}
    )
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    own = {key.removeprefix("clip."): value for key, value in state.items()}
    with torch.no_grad():
        torch.testing.assert_close(
            module.encode_image(images), torch.stack([plain_image(i, own, 2) for i in images]), rtol=1e-4, atol=1e-4
        )


def test_text_tower_is_the_published_transformer_at_any_length(tmp_path: Path) -> None:
    state = small_state()
    module = load_clip4clip(write(tmp_path / "pytorch_model.bin", state), SMALL)
    own = {key.removeprefix("clip."): value for key, value in state.items()}
    tokens = tokenize(["a red circle", "two blue squares meet"], 12)
    with torch.no_grad():
        expected = torch.stack([plain_text(row, own, 2) for row in tokens])
        torch.testing.assert_close(module.encode_text(tokens), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(module.encode_text(tokens[:, :7]), expected, rtol=1e-4, atol=1e-4)


def test_text_tower_equals_open_clips() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = CLIP(**clip4clip.tower_sizes(SMALL), quick_gelu=True)
    ours = Clip4Clip(SMALL)
    ours.load_state_dict(theirs.state_dict())
    tokens = tokenize(["a square grows"], 12)
    torch.testing.assert_close(ours.encode_text(tokens), theirs.encode_text(tokens))


@pytest.mark.parametrize(("arch", "patch"), [("ViT-B-16", 16), ("ViT-B-32", 32)])
def test_key_list_of_the_real_checkpoint_fits_open_clip(tmp_path: Path, arch: str, patch: int) -> None:
    shapes = checkpoint_shapes(patch, 224, 768, 12, 512, 12, 512)
    with torch.device("meta"):
        expected = open_clip.model.CLIP(**clip4clip.tower_sizes(arch), quick_gelu=True).state_dict()
    assert {f"clip.{key}": tuple(value.shape) for key, value in expected.items()} == shapes
    # One number seen at every place: a file of a few kilobytes with the keys and shapes of 600 MB.
    path = write(tmp_path / "pytorch_model.bin", {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()})
    assert load_clip4clip(path, arch).image_size == 224


def test_another_architecture_is_refused_and_named(tmp_path: Path) -> None:
    shapes = checkpoint_shapes(16, 224, 768, 12, 512, 12, 512)
    path = write(tmp_path / "pytorch_model.bin", {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()})
    with pytest.raises(PipelineError) as caught:
        load_clip4clip(path, "ViT-B-32")
    message = str(caught.value)
    assert "\n" not in message
    assert "Found image tower: patch 16, image 224, width 768, layers 12" in message
    assert "Expected image tower: patch 32, image 224, width 768, layers 12" in message
    assert describe({"visual.conv1.weight": torch.zeros(8, 3, 4, 4)}).startswith("no CLIP that is known here")


def test_a_resnet_is_built_from_sizes_and_named(tmp_path: Path) -> None:
    vision = {"image_size": 32, "patch_size": None, "width": 8, "heads": 4, "layers": [1, 2, 1, 1]}
    module, origin = load_pretrained("random", SMALL | {"vision": vision}, 1)
    assert module.visual.attnpool.num_heads == 4
    assert module.encode_image(torch.zeros(2, 3, 32, 32)).shape == (2, 24)
    assert describe(module.state_dict()).startswith("image tower: ResNet, image 32, width 8, layers [1, 2, 1, 1];")
    save_clip4clip(module, tmp_path / "weights.safetensors", origin)
    again = load_clip4clip(tmp_path / "weights.safetensors", SMALL | {"vision": vision}).state_dict()
    assert again.keys() == module.state_dict().keys()
    for key, value in module.state_dict().items():
        assert again[key].dtype == value.dtype
        assert torch.equal(again[key], value)
    with pytest.raises(PipelineError, match=r"Found image tower: ResNet, .* Expected image tower: patch 16"):
        load_clip4clip(tmp_path / "weights.safetensors", SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("clip.visual.ln_post.bias"), "missing: visual.ln_post.bias"),
        (lambda state: state.update({"clip.visual.conv2.weight": torch.zeros(1)}), "unknown: visual.conv2.weight"),
        (lambda state: state.update({"decoder.weight": torch.zeros(1)}), "unknown keys decoder.weight"),
    ],
)
def test_loading_is_strict(tmp_path: Path, change, message: str) -> None:
    state = small_state()
    change(state)
    with pytest.raises(PipelineError, match=message):
        load_clip4clip(write(tmp_path / "pytorch_model.bin", state), SMALL)


def test_heads_of_other_similarities_are_left_out(tmp_path: Path) -> None:
    state = small_state()
    extra = {
        "transformerClip.resblocks.0.ln_1.weight": torch.ones(2),
        "frame_position_embeddings.weight": torch.ones(2),
    }
    module = load_clip4clip(write(tmp_path / "pytorch_model.bin", state | extra), SMALL)
    assert "transformerClip" not in " ".join(module.state_dict())


def test_half_precision_is_cast(tmp_path: Path) -> None:
    module = load_clip4clip(write(tmp_path / "pytorch_model.bin", small_state(dtype=torch.float16)), SMALL)
    assert {value.dtype for value in module.state_dict().values()} == {torch.float32}


def test_saved_weights_come_back_with_their_activation(tmp_path: Path) -> None:
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    for activation in ("quick_gelu", "gelu"):
        module, origin = load_pretrained("random", SMALL, 4)
        other = Clip4Clip(SMALL, activation).eval()
        other.load_state_dict(module.state_dict())
        save_clip4clip(other, tmp_path / "weights.safetensors", origin)
        again = load_clip4clip(tmp_path / "weights.safetensors", SMALL)
        assert again.activation == activation
        torch.testing.assert_close(again.encode_image(images), other.encode_image(images), rtol=0, atol=0)
    assert not torch.allclose(other.encode_image(images), module.encode_image(images))


def test_random_is_seeded_and_loud(caplog: pytest.LogCaptureFixture) -> None:
    before = torch.random.get_rng_state()
    first, origin = load_pretrained("random", SMALL, 1)
    assert origin == "random"
    assert "UNTRAINED" in caplog.text
    assert torch.equal(before, torch.random.get_rng_state())
    again, other = load_pretrained("random", SMALL, 1)[0], load_pretrained("random", SMALL, 2)[0]
    assert torch.equal(first.visual.proj, again.visual.proj)
    assert not torch.equal(first.visual.proj, other.visual.proj)


def test_a_file_tells_its_digest(tmp_path: Path) -> None:
    path = write(tmp_path / "pytorch_model.bin.4", small_state())
    _, origin = load_pretrained(str(path), SMALL, 1)
    name, digest = origin.split(" sha256 ")
    assert name == "file pytorch_model.bin.4"
    assert len(digest) == 64


@pytest.mark.parametrize(
    ("weights", "arch", "message"),
    [
        ("nowhere/pytorch_model.bin", "ViT-B-16", "there is no file nowhere/pytorch_model.bin"),
        ("opnai", "ViT-B-16", "open_clip has no 'opnai' for ViT-B-16; it has openai"),
        ("openai", SMALL, "a tag needs arch to be an open_clip name"),
        ("random", "ViT-B-15", "'ViT-B-15' is not an open_clip architecture"),
        ("random", "RN50", "not a plain CLIP vision transformer"),
    ],
)
def test_mistakes_are_one_line(weights: str, arch, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        load_pretrained(weights, arch, 1)


def test_a_tag_without_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(source: object) -> str:
        raise OSError("no route to host\nmore lines")

    monkeypatch.setattr(clip4clip.open_clip, "download_pretrained", offline)
    with pytest.raises(PipelineError, match=r"could not be downloaded \(no route to host\); fetch it") as caught:
        load_pretrained("openai", "ViT-B-32", 1)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.bin").write_text("not weights")
    torch.save({"epoch": 3}, tmp_path / "other.bin")
    (tmp_path / "cut.safetensors").write_bytes(b"\x00\x01")
    for name in ("text.bin", "other.bin", "cut.safetensors"):
        with pytest.raises(PipelineError, match=name):
            load_clip4clip(tmp_path / name, SMALL)


def test_normalise_is_clips() -> None:
    image = torch.tensor([255, 0, 128], dtype=torch.uint8).view(3, 1, 1)
    expected = [(1 - 0.48145466) / 0.26862954, -0.4578275 / 0.26130258, (128 / 255 - 0.40821073) / 0.27577711]
    torch.testing.assert_close(normalise(image).flatten(), torch.tensor(expected))


def test_square_of_shorter_side_is_pils_resize_and_centre_crop() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 61, 3), dtype=np.uint8)
    resized = Image.fromarray(image).resize((24, 16), Image.Resampling.BICUBIC)  # 16 * 61 // 40 = 24
    expected = np.asarray(resized)[:, 4:20].astype(int)
    found = square_of_shorter_side(torch.from_numpy(image).permute(2, 0, 1)[None], 16)[0].permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() <= 1  # both round filter weights, not to the same digit
    assert square_of_shorter_side(torch.zeros(1, 3, 1, 7, dtype=torch.uint8), 4).shape == (1, 3, 4, 4)


def test_captions_end_with_the_highest_id() -> None:
    tokens = tokenize(["a", "one two three four five six seven eight"], 6)
    assert tokens.shape == (2, 6)
    assert tokens[:, 0].tolist() == [49406, 49406]
    assert tokens.argmax(dim=1).tolist() == [2, 5]
    assert tokens[0, 3:].tolist() == [0, 0, 0]

"""Checkpoints as CLIP4Clip writes them, at full width: loaded strictly, with the features of the published towers."""

import logging
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from toys.plain_clip import block_shapes, checkpoint_shapes, plain_image, plain_text

from pipeline.errors import PipelineError
from pipeline.models.clip4clip import load_clip4clip, tokenize

PATCHES = {"ViT-B-16": 16, "ViT-B-32": 32}
IMAGE, WIDTH, LAYERS, TEXT, EMBED = 224, 768, 12, 512, 512
# CLIP4Clip keeps these in float32: what OpenAI's conversion to half precision leaves as it is.
SINGLE = ("ln_", "token_embedding", "positional_embedding", "class_embedding", "logit_scale")


def published_shapes(arch: str) -> dict[str, tuple[int, ...]]:
    return checkpoint_shapes(PATCHES[arch], IMAGE, WIDTH, LAYERS, TEXT, LAYERS, EMBED)


def other_shapes() -> dict[str, tuple[int, ...]]:
    """What the wrapper holds besides CLIP with its other heads: the cross encoder, and the sequential one."""
    shapes = {
        "cross.embeddings.position_embeddings.weight": (77, TEXT),
        "cross.pooler.ln_pool.weight": (TEXT,),
        "cross.pooler.ln_pool.bias": (TEXT,),
        "cross.pooler.dense.weight": (TEXT, TEXT),
        "cross.pooler.dense.bias": (TEXT,),
        "similarity_dense.weight": (1, TEXT),
        "similarity_dense.bias": (1,),
        "frame_position_embeddings.weight": (77, TEXT),
    }
    for layer in range(4):
        shapes |= block_shapes(f"cross.transformer.resblocks.{layer}", TEXT)
        shapes |= block_shapes(f"transformerClip.resblocks.{layer}", TEXT)
    return shapes


def random_state(arch: str) -> dict[str, Tensor]:
    """Weights that keep activations near 1 through twelve layers, in the types of the real file."""
    generator = torch.Generator().manual_seed(11)
    state: dict[str, Tensor] = {}
    for key, shape in published_shapes(arch).items():
        if ".ln_" in key:
            tensor = 0.1 * torch.randn(shape, generator=generator) + (1.0 if key.endswith("weight") else 0.0)
        elif len(shape) > 1:
            scale = 0.2 if "embedding" in key else (3 / math.prod(shape[1:])) ** 0.5
            tensor = torch.empty(shape).uniform_(-scale, scale, generator=generator)
        else:
            tensor = 0.1 * torch.randn(shape, generator=generator)
        half = not any(name in key for name in SINGLE)
        state[key] = tensor.half() if half else tensor
    return state


def hollow(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Tensors of those shapes with one number seen at every place: kilobytes instead of 600 MB."""
    return {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}


@pytest.mark.parametrize("arch", [pytest.param("ViT-B-16", marks=pytest.mark.slow), "ViT-B-32"])
@torch.no_grad()
def test_features_of_a_checkpoint_are_the_published_ones(
    tmp_path: Path, arch: str, caplog: pytest.LogCaptureFixture
) -> None:
    torch.set_num_threads(1)
    state = random_state(arch)
    torch.save(state | hollow(other_shapes()), tmp_path / "pytorch_model.bin.4")
    with caplog.at_level(logging.DEBUG, "pipeline.weights"):
        module = load_clip4clip(tmp_path / "pytorch_model.bin.4", arch)
    assert module.activation == "quick_gelu"
    own = {key.removeprefix("clip."): value.float() for key, value in state.items()}

    images = torch.randn(2, 3, IMAGE, IMAGE, generator=torch.Generator().manual_seed(5))
    expected = torch.stack([plain_image(image, own, heads=12) for image in images])
    found = module.encode_image(images)
    assert expected.std() > 0.1
    assert (expected[0] - expected[1]).abs().max() > 0.1
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()

    tokens = tokenize(["a man is slicing a tomato", "two dogs play"], 77)
    expected = torch.stack([plain_text(row, own, heads=8) for row in tokens])
    found = module.encode_text(tokens)
    assert expected.std() > 0.1
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()

    table = caplog.messages[0].splitlines()
    assert "CLIP with quick_gelu; image tower: patch" in table[0]
    assert any(line.split() == ["visual.transformer", "144", "tensors", "85,054,464", "numbers"] for line in table)
    assert any(line.split()[:4] == ["in", "all", "302", "tensors"] for line in table)
    for part, count in (("cross", 53), ("similarity_dense", 2), ("transformerClip", 48), ("frame_position_embed", 1)):
        assert any(f"left out: {count} tensors of {part}" in line for line in table)
    assert "brought from float16 to float32" in table[-1]


@pytest.mark.parametrize("prefix", ["clip.", ""])
@pytest.mark.parametrize(("held", "wanted"), [("ViT-B-16", "ViT-B-32"), ("ViT-B-32", "ViT-B-16")])
def test_a_file_of_the_other_tower_is_refused(tmp_path: Path, held: str, wanted: str, prefix: str) -> None:
    """T9: what fits is never loaded while the rest is passed over."""
    shapes = {key.replace("clip.", prefix, 1): shape for key, shape in published_shapes(held).items()}
    torch.save(hollow(shapes), tmp_path / "pytorch_model.bin")
    load_clip4clip(tmp_path / "pytorch_model.bin", held)
    with pytest.raises(PipelineError) as caught:
        load_clip4clip(tmp_path / "pytorch_model.bin", wanted)
    message = str(caught.value)
    assert "\n" not in message
    assert f"Found image tower: patch {PATCHES[held]}, image 224, width 768, layers 12" in message
    assert f"Expected image tower: patch {PATCHES[wanted]}, image 224, width 768, layers 12" in message
    assert "shapes: visual.positional_embedding is [" in message

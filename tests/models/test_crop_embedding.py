"""Towers changed for images give the embeddings that they gave before."""

import copy

import pytest
import torch
from torch import nn
from toys.clip import ARCH

from pipeline.models.clip4clip import Clip4Clip, load_pretrained, normalise
from pipeline.models.crop_embedding import for_images

RESNET = ARCH | {"vision": {"image_size": 32, "patch_size": None, "width": 8, "heads": 4, "layers": [1, 1, 1, 1]}}


@pytest.fixture(params=[ARCH, RESNET], ids=["ViT", "ResNet"])
def module(request) -> Clip4Clip:
    """Random towers; each norm of the ResNet has its own scale, shift and statistics."""
    torch.manual_seed(1)
    module = load_pretrained("random", request.param, 1)[0]
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)  # also of the last norm of a block, which starts at zero
            nn.init.normal_(part.bias, 0, 0.1)
    return module


def draw_images(module: Clip4Clip) -> torch.Tensor:
    size = module.image_size
    return normalise(torch.randint(0, 256, (5, 3, size, size), dtype=torch.uint8))


@torch.no_grad()
def test_embeddings_move_by_rounding(module):
    images = draw_images(module)
    tokens = torch.tensor([[1, 2, 19, 0]])
    expected, text = module.encode_image(images), module.encode_text(tokens)
    found = for_images(copy.deepcopy(module), torch.float32)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in found.modules())
    assert torch.allclose(found.encode_image(images), expected, rtol=0, atol=1e-5 * expected.abs().max().item())
    assert torch.equal(found.encode_text(tokens), text)


@torch.no_grad()
def test_bf16_is_as_near_as_autocast(module):
    images = draw_images(module)
    expected = module.encode_image(images)

    def error(of: Clip4Clip) -> float:
        with torch.autocast("cpu", torch.bfloat16):
            return (1 - nn.functional.cosine_similarity(of.encode_image(images).float(), expected)).max().item()

    found = for_images(copy.deepcopy(module), torch.bfloat16)
    assert 0 < error(found) < max(2 * error(module), 1e-4)

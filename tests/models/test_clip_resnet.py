"""The image tower gives what open_clip's gives, and so do its gradients and statistics."""

import copy

import pytest
import torch
from open_clip.modified_resnet import ModifiedResNet

from pipeline.models import batch_norm
from pipeline.models.clip_resnet import embed_images


def tower(size: int, layers: tuple[int, ...] = (1, 2, 1, 1)) -> ModifiedResNet:
    with torch.random.fork_rng():
        torch.manual_seed(size)
        made = ModifiedResNet(layers, output_dim=12, heads=4, image_size=size, width=8).double()
        for name, parameter in made.named_parameters():
            if "bn" in name or name.endswith("bias"):
                torch.nn.init.normal_(parameter, 0.5)  # as built, the last norm of a block is 0 and hides the block
    return made


@pytest.mark.parametrize("many_rows", [0, 10**9])
@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("training", [True, False])
def test_features_gradients_and_statistics_are_open_clips(size, training, many_rows, monkeypatch):
    monkeypatch.setattr(batch_norm, "MANY_ROWS", many_rows)
    ours = tower(size).train(training)
    theirs = copy.deepcopy(ours)
    images = torch.randn(5, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    features, expected = embed_images(ours, images), theirs(images)
    torch.testing.assert_close(features, expected)
    features.square().sum().backward()
    expected.square().sum().backward()
    for (name, own), (_, other) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        torch.testing.assert_close(
            own.grad, other.grad, msg=lambda text, name=name: f"{name}: {text}", atol=1e-8, rtol=1e-6
        )
    for (name, own), (_, other) in zip(ours.named_buffers(), theirs.named_buffers(), strict=True):
        torch.testing.assert_close(own, other, msg=lambda text, name=name: f"{name}: {text}")


def test_features_in_half_precision_are_near():
    ours = tower(32).float().eval()
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = ours(images)
        with torch.autocast("cpu", torch.bfloat16):
            found = embed_images(ours, images)
    assert torch.nn.functional.cosine_similarity(found.float(), expected).min() > 0.99

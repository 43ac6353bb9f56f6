"""The network against a plain functional reading of the published one, and its published parameter list."""

import logging

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from pipeline.errors import PipelineError
from pipeline.models.i3d import InceptionI3d, calibrate, load_i3d, randomise

# Published channels: input; b0; b1a, b1b; b2a, b2b; b3b.
MIXED = """
3b 192 64 96 128 16 32 32
3c 256 128 128 192 32 96 64
4b 480 192 96 208 16 48 64
4c 512 160 112 224 24 64 64
4d 512 128 128 256 24 64 64
4e 512 112 144 288 32 64 64
4f 528 256 160 320 32 128 128
5b 832 256 160 320 32 128 128
5c 832 384 192 384 48 128 128
"""


def published_convolutions():
    """Name of each unit with the shape of its kernel."""
    shapes = {
        "Conv3d_1a_7x7": (64, 3, 7, 7, 7),
        "Conv3d_2b_1x1": (64, 64, 1, 1, 1),
        "Conv3d_2c_3x3": (192, 64, 3, 3, 3),
    }
    for line in MIXED.split("\n")[1:-1]:
        block, *numbers = line.split()
        source, b0, b1a, b1b, b2a, b2b, b3b = map(int, numbers)
        shapes |= {
            f"Mixed_{block}.b0": (b0, source, 1, 1, 1),
            f"Mixed_{block}.b1a": (b1a, source, 1, 1, 1),
            f"Mixed_{block}.b1b": (b1b, b1a, 3, 3, 3),
            f"Mixed_{block}.b2a": (b2a, source, 1, 1, 1),
            f"Mixed_{block}.b2b": (b2b, b2a, 3, 3, 3),
            f"Mixed_{block}.b3b": (b3b, source, 1, 1, 1),
        }
    return shapes


@pytest.fixture(scope="module")
def published():
    """A state dict with the names and shapes of rgb_imagenet.pt, and statistics that keep activations near 1."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in published_convolutions().items():
        fan_in = shape[1] * shape[2] ** 3
        channels = (shape[0],)
        state[f"{name}.conv3d.weight"] = torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
        state[f"{name}.bn.weight"] = 0.5 + torch.rand(channels, generator=generator)
        state[f"{name}.bn.bias"] = 0.1 * torch.randn(channels, generator=generator)
        state[f"{name}.bn.running_mean"] = 0.1 * torch.randn(channels, generator=generator)
        state[f"{name}.bn.running_var"] = 0.5 + torch.rand(channels, generator=generator)
    state["logits.conv3d.weight"] = torch.randn((400, 1024, 1, 1, 1), generator=generator) * 0.03
    state["logits.conv3d.bias"] = torch.randn(400, generator=generator)
    return state


def pad_same(x, kernel, stride):
    """TensorFlow's rule, axis by axis, written with the remainder as the published code does."""
    widths = []
    for axis in (4, 3, 2):
        k, s = kernel[axis - 2], stride[axis - 2]
        remainder = x.shape[axis] % s
        total = max(k - (remainder if remainder else s), 0)
        widths += [total // 2, total - total // 2]
    return F.pad(x, widths)


def unit(state, name, x, stride=1):
    weight = state[f"{name}.conv3d.weight"]
    x = F.conv3d(pad_same(x, weight.shape[2:], (stride,) * 3), weight, stride=stride)
    mean, var, scale, shift = (state[f"{name}.bn.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
    view = (1, -1, 1, 1, 1)
    return torch.relu((x - mean.view(view)) / torch.sqrt(var.view(view) + 1e-3) * scale.view(view) + shift.view(view))


def pool(x, kernel, stride):
    return F.max_pool3d(pad_same(x, kernel, stride), kernel, stride)


def published_forward(state, x):
    """Mixed_5c of the published network, before its average pool."""
    x = unit(state, "Conv3d_1a_7x7", x, stride=2)
    x = pool(x, (1, 3, 3), (1, 2, 2))
    x = unit(state, "Conv3d_2c_3x3", unit(state, "Conv3d_2b_1x1", x))
    x = pool(x, (1, 3, 3), (1, 2, 2))
    for block in ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c"):
        if block == "4b":
            x = pool(x, (3, 3, 3), (2, 2, 2))
        if block == "5b":
            x = pool(x, (2, 2, 2), (2, 2, 2))
        name = f"Mixed_{block}"
        b1 = unit(state, f"{name}.b1b", unit(state, f"{name}.b1a", x))
        b2 = unit(state, f"{name}.b2b", unit(state, f"{name}.b2a", x))
        b3 = unit(state, f"{name}.b3b", pool(x, (3, 3, 3), (1, 1, 1)))
        x = torch.cat([unit(state, f"{name}.b0", x), b1, b2, b3], dim=1)
    return x


def clip(*shape, seed=1):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def load(state):
    model = InceptionI3d()
    model.load_state_dict(state, strict=True)
    return model.eval()


def test_parameters_are_the_published_ones(published):
    own = {key: tuple(t.shape) for key, t in InceptionI3d().state_dict().items() if "num_batches_tracked" not in key}
    assert own == {key: tuple(tensor.shape) for key, tensor in published.items()}
    norm = InceptionI3d().Mixed_4c.b1b.bn
    assert (norm.eps, norm.momentum) == (1e-3, 0.01)


def test_loads_with_and_without_batch_counts(published):
    counts = {f"{name}.bn.num_batches_tracked": torch.tensor(7) for name in published_convolutions()}
    assert torch.equal(load(published).Mixed_3b.b0.conv3d.weight, published["Mixed_3b.b0.conv3d.weight"])
    load(published | counts)


# 16 x 33 x 49 and 17 x 40 x 30 have odd sizes at several depths: there SAME padding depends on the size.
@pytest.mark.parametrize("size", [(16, 32, 32), (16, 33, 49), (17, 40, 30)])
@torch.no_grad()
def test_equals_the_published_forward(published, size):
    state = {key: tensor.double() for key, tensor in published.items()}
    x = clip(2, 3, *size).double()
    mixed_5c = published_forward(state, x)
    expected = F.avg_pool3d(mixed_5c, (2, *mixed_5c.shape[3:]), stride=1)
    model = load(published).double()
    assert torch.allclose(model.extract_features(x), expected, rtol=0, atol=1e-10)
    assert torch.allclose(model.folded().extract_features(x), expected, rtol=0, atol=1e-10)
    logits = F.conv3d(expected, state["logits.conv3d.weight"], state["logits.conv3d.bias"])
    assert torch.allclose(model(x), logits[..., 0, 0], rtol=0, atol=1e-10)
    # in float32, to 1e-5 of the largest feature
    for single in (load(published), load(published).folded()):
        error = (single.extract_features(x.float()) - expected).abs().max() / expected.max()
        assert error < 1e-5


@torch.no_grad()
def test_a_checkpoint_gives_the_published_features_at_224_pixels(published, tmp_path, caplog):
    """One window as published, sixteen frames, through the file; and the (2, 7, 7) pool."""
    torch.set_num_threads(1)
    torch.save(published, tmp_path / "rgb_imagenet.pt")
    x = clip(1, 3, 16, 224, 224)
    expected = F.avg_pool3d(published_forward(published, x), (2, 7, 7), stride=1)
    assert expected.shape == (1, 1024, 1, 1, 1)
    assert 0.1 < expected.std() < 10
    with caplog.at_level(logging.DEBUG, "pipeline.weights"):
        model = load_i3d(tmp_path / "rgb_imagenet.pt")
    for network in (model, model.folded()):
        assert (network.extract_features(x) - expected).abs().max() < 1e-5 * expected.max()
    table = [line.split() for line in caplog.messages[0].splitlines()]
    assert table[1] == ["Conv3d_1a_7x7", "5", "tensors", "66,112", "numbers"]
    assert [row[0] for row in table[4:13]] == [f"Mixed_{line.split()[0]}" for line in MIXED.split("\n")[1:-1]]
    assert table[-2][:4] == ["in", "all", "287", "tensors"]  # five of each of 57 units, and the classifier's two
    assert " ".join(table[-1]) == "not in the file: 57 counts of batches, which nothing uses"


@torch.no_grad()
def test_bfloat16_is_near(published):
    x = clip(1, 3, 16, 32, 32)
    model = load(published).folded()
    exact = model.extract_features(x)
    rough = model.to(torch.bfloat16).extract_features(x.bfloat16())
    assert rough.dtype == torch.float32
    assert F.cosine_similarity(exact.flatten(), rough.flatten(), dim=0) > 0.999


def test_too_few_frames_is_said():
    with pytest.raises(ValueError, match="at least 9 frames, got a window of 8"):
        InceptionI3d().extract_features(clip(1, 3, 8, 32, 32))


def test_calibration_gives_every_channel_unit_variance():
    torch.set_num_threads(1)
    model = InceptionI3d()
    randomise(model, seed=3)
    x = clip(4, 3, 16, 32, 32)
    with torch.no_grad():
        before = model.eval().extract_features(x)
        calibrate(model, x, batch_size=4)
        after = model.extract_features(x)
        first = F.conv3d(pad_same(x, (7, 7, 7), (2, 2, 2)), model.Conv3d_1a_7x7.conv3d.weight, stride=2)
    assert not model.training
    assert torch.allclose(model.Conv3d_1a_7x7.bn.running_mean, first.mean((0, 2, 3, 4)), atol=1e-5)
    assert torch.allclose(model.Conv3d_1a_7x7.bn.running_var, first.var((0, 2, 3, 4)), rtol=1e-4)
    assert model.Conv3d_1a_7x7.bn.momentum == 0.01
    assert 0.1 < after.mean() < 1.0
    assert after.std(dim=0).mean() > 2 * before.std(dim=0).mean()


def test_random_weights_follow_the_seed():
    first, again, other = InceptionI3d(), InceptionI3d(), InceptionI3d()
    for model, seed in ((first, 1), (again, 1), (other, 2)):
        randomise(model, seed)
    weight = first.Mixed_4b.b1b.conv3d.weight
    assert torch.equal(weight, again.Mixed_4b.b1b.conv3d.weight)
    assert not torch.equal(weight, other.Mixed_4b.b1b.conv3d.weight)
    assert weight.std().item() == pytest.approx((2 / (96 * 27)) ** 0.5, rel=0.01)


def test_load_i3d_reads_pickles_and_safetensors(published, tmp_path):
    torch.save(published, tmp_path / "rgb_imagenet.pt")
    torch.save(published, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    save_file(published, tmp_path / "weights.safetensors")
    for name in ("rgb_imagenet.pt", "old.pt", "weights.safetensors"):
        model = load_i3d(tmp_path / name)
        assert not model.training
        assert torch.equal(model.logits.conv3d.bias, published["logits.conv3d.bias"])


def test_load_i3d_takes_other_class_counts(published, tmp_path):
    charades = published | {
        "logits.conv3d.weight": torch.zeros(157, 1024, 1, 1, 1),
        "logits.conv3d.bias": torch.zeros(157),
    }
    save_file(charades, tmp_path / "charades.safetensors")
    assert load_i3d(tmp_path / "charades.safetensors").logits.conv3d.out_channels == 157


@torch.no_grad()
def test_load_i3d_takes_a_file_without_classifier_and_keeps_it_so(published, tmp_path):
    """Features need none; half a classifier is no such file."""
    bare = {f"module.{key}": tensor for key, tensor in published.items() if not key.startswith("logits.")}
    torch.save({"state_dict": bare}, tmp_path / "bare.pt")
    model = load_i3d(tmp_path / "bare.pt")
    assert model.num_classes == 0
    save_file(model.state_dict(), tmp_path / "again.safetensors")
    x = clip(1, 3, 16, 32, 32)
    expected = load(published).extract_features(x)
    for network in (model, load_i3d(tmp_path / "again.safetensors"), model.folded()):
        assert (network.extract_features(x) - expected).abs().max() < 1e-5 * expected.max()
    torch.save({**bare, "module.logits.conv3d.bias": torch.zeros(400)}, tmp_path / "half.pt")
    with pytest.raises(PipelineError, match=r"missing: logits\.conv3d\.weight"):
        load_i3d(tmp_path / "half.pt")


def test_load_i3d_refuses_another_architecture(published, tmp_path):
    flow = {key: t[:, :2].clone() if key == "Conv3d_1a_7x7.conv3d.weight" else t for key, t in published.items()}
    prefixed = {f"model.{key}": tensor for key, tensor in published.items()}
    short = {key: tensor for key, tensor in published.items() if not key.startswith("Mixed_5c.b0")}
    cases = {
        "flow": (flow, r"shapes: Conv3d_1a_7x7.conv3d.weight is \[64, 2, 7, 7, 7\], not \[64, 3, 7, 7, 7\]"),
        "prefixed": (prefixed, r"missing: Conv3d_1a_7x7.bn.bias, .* and \d+ more; unknown: model.Conv3d_1a_7x7"),
        "short": (short, r"missing: Mixed_5c.b0.bn.bias, .* and 2 more; write the path"),
    }
    for name, (state, message) in cases.items():
        save_file(state, tmp_path / f"{name}.safetensors")
        with pytest.raises(PipelineError, match=message):
            load_i3d(tmp_path / f"{name}.safetensors")


def test_load_i3d_refuses_what_is_no_state_dict(tmp_path):
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "text.safetensors").write_text("hello")
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "nested.pt")
    np.save(tmp_path / "code.npy", np.array([print], dtype=object), allow_pickle=True)
    for name in ("text.pt", "empty.pt", "text.safetensors", "nested.pt", "code.npy", "none.pt"):
        with pytest.raises(PipelineError, match=name):
            load_i3d(tmp_path / name)

"""Windows of several videos through I3D: batches across videos, in order, in the type that was asked for."""

from collections import deque

import numpy as np
import pytest
import torch

from pipeline.errors import VideoError
from pipeline.models.i3d import InceptionI3d, calibrate, normalise, randomise
from pipeline.models.motion_encoding import encode_across, make_encoder, noting, windows_at_once
from pipeline.video.windows import WindowFrames


def noise(num_windows: int) -> np.ndarray:
    """Windows of 16 frames of 32 pixels, each brighter than the last: alike, they would blow rounding errors up."""
    generator = np.random.default_rng(0)
    return np.stack([generator.integers(0, 20 * (n + 1), (16, 32, 32, 3), np.uint8) for n in range(num_windows)])


@pytest.fixture(scope="module")
def model() -> InceptionI3d:
    torch.set_num_threads(1)
    model = InceptionI3d()
    randomise(model, seed=1)
    calibrate(model, normalise(torch.from_numpy(noise(12))), batch_size=12)
    return model


def test_the_network_is_in_eval_mode(model):
    """Trap T6: in training mode a window's features would depend on the others, and the statistics would move."""
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    model.train()
    encode = make_encoder(model, "fp32")
    windows = np.random.default_rng(0).integers(0, 256, (3, 16, 32, 32, 3), dtype=np.uint8)
    windows[1] //= 4
    together, alone = encode(windows), encode(windows[1:2])
    assert np.allclose(together[1], alone[0], rtol=0, atol=1e-5 * together.max())
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


@torch.no_grad()
def test_bf16_means_the_network_in_bfloat16(model):
    windows = noise(4)
    rough = model.folded().to(torch.bfloat16, memory_format=torch.channels_last_3d)
    expected = rough.extract_features(normalise(torch.from_numpy(windows)).bfloat16()).flatten(1).numpy()
    found = make_encoder(model, "bf16")(windows)
    assert found.dtype == np.float32
    assert np.array_equal(found, expected)
    assert not np.array_equal(found, make_encoder(model, "fp32")(windows))


def test_batches_fit_the_cache_of_a_cpu():
    """By hand: the first layer's output is 64 channels of 8 frames, 8 x 24 x 24 x 64 floats are 1.18 MB."""
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert [windows_at_once(16, size, 16, cpu) for size in (224, 128, 112, 48)] == [1, 4, 5, 16]
    assert windows_at_once(40, 48, 16, cpu) == 28
    assert windows_at_once(16, 448, 16, cpu) == 1
    assert windows_at_once(16, 224, 16, gpu) == 16


def test_encode_across_joins_videos_and_keeps_their_order():
    """Windows here are single numbers, and a feature is a window's double."""
    bad = VideoError("bad")
    sizes = []

    def double(windows):
        sizes.append(len(windows))
        return windows * 2.0

    decoded = [np.array([1, 2]), bad, np.array([3]), np.array([4, 5, 6, 7, 8, 9]), bad, np.array([10])]
    outcomes = list(encode_across(decoded, double, 4))
    assert [o if isinstance(o, VideoError) else o.tolist() for o in outcomes] == [
        [2, 4], bad, [6], [8, 10, 12, 14, 16, 18], bad, [20]
    ]  # fmt: skip
    assert sizes == [4, 4, 4]


def test_encode_across_does_not_read_ahead_of_the_batches():
    """Memory: windows of at most one batch and one video are held."""
    read_so_far = []

    def videos():
        for number in range(10):
            read_so_far.append(number)
            yield np.array([number])

    encoded = encode_across(videos(), lambda windows: windows * 1.0, 2)
    assert next(encoded).tolist() == [0]
    assert read_so_far == [0, 1]


def test_why_videos_are_suspect_comes_out_in_their_order():
    frames = np.zeros((1, 2, 2, 3), np.uint8)
    rows = np.zeros((1, 1), np.intp)
    decoded = [WindowFrames(frames, rows, None), VideoError("bad"), WindowFrames(frames, rows, "cut off")]
    suspect: deque[str | None] = deque()
    assert list(noting(decoded, suspect)) == decoded
    assert list(suspect) == [None, None, "cut off"]

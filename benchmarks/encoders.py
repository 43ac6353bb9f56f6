"""Measure the encoders of motion and of cells against published networks run as they are, one input at a time.

Run: `python -m benchmarks.encoders`. I3D's peer is the published way: every layer pads, convolves, normalises and
rectifies in float32, one window at a time. The peer of a grid's cells cuts each one out with Pillow (bicubic, with
antialiasing), and embeds it alone in float32. Weights are random, and statistics of norms come from random windows; no
time depends on them. bf16 is measured where `precision: auto` would choose it. The rate is that of the fastest of eight
products of two 1,024 x 1,024 matrices, and operations are those of the published network's convolutions, padding
included, so that skipping zeros and Winograd's way may bring the share above 100 %.

Shapes: B windows, C channels, T frames, H height, W width, F sampled frames, K cells of a frame, S side of a cell.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import yaml
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import Row, Times, main, matmul_rate, take_turns
from pipeline.artifact.each_video import Rows
from pipeline.models.clip4clip import Clip4Clip, normalise
from pipeline.models.crop_embedding import embed, for_images
from pipeline.models.i3d import BLOCKS, InceptionI3d, calibrate, randomise
from pipeline.models.i3d import normalise as i3d_input
from pipeline.models.motion_encoding import BATCH_SIZE, make_encoder, windows_at_once
from pipeline.models.precision import compute_device, compute_dtype
from pipeline.models.same_padding import same_padding
from pipeline.stages.build_grid_nodes import cut_cells, frame_boxes

WINDOW, CELLS, OVERLAP = 16, 3, 0.5
DEMO_TOWER = yaml.safe_load((Path(__file__).parents[1] / "config.yaml").read_text())["encoders"]["clip"]["arch"]
MOST_DISTANCE = 1e-4  # of float32, from a cosine of 1


class PlainI3d:
    """The published network's features, layer by layer.

    Args:
        state: Parameters of an `InceptionI3d`.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self.state = {name: tensor.contiguous() for name, tensor in state.items()}

    def __call__(self, x_BCTHW: Tensor) -> Tensor:
        """Features `[B, 1024]` of windows of sixteen frames in [-1, 1]."""
        x = self.pool(self.unit("Conv3d_1a_7x7", x_BCTHW, 2), (1, 3, 3), (1, 2, 2))
        x = self.unit("Conv3d_2c_3x3", self.unit("Conv3d_2b_1x1", x))
        x = self.pool(x, (1, 3, 3), (1, 2, 2))
        for block in BLOCKS:
            if block == "Mixed_4b":
                x = self.pool(x, (3, 3, 3), (2, 2, 2))
            elif block == "Mixed_5b":
                x = self.pool(x, (2, 2, 2), (2, 2, 2))
            second = self.unit(f"{block}.b1b", self.unit(f"{block}.b1a", x))
            third = self.unit(f"{block}.b2b", self.unit(f"{block}.b2a", x))
            fourth = self.unit(f"{block}.b3b", self.pool(x, (3, 3, 3), (1, 1, 1)))
            x = torch.cat([self.unit(f"{block}.b0", x), second, third, fourth], 1)
        return F.avg_pool3d(x, (2, *x.shape[3:]), 1).flatten(1)

    def unit(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        """A convolution with SAME padding, batch normalisation in evaluation mode, and ReLU."""
        weight = self.state[f"{name}.conv3d.weight"]
        x = F.conv3d(self.pad(x, weight.shape[2:], (stride,) * 3), weight, stride=stride)
        mean, var, scale, shift = (
            self.state[f"{name}.bn.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        return F.relu(F.batch_norm(x, mean, var, scale, shift, eps=1e-3))

    def pool(self, x: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
        """Max pooling with SAME padding."""
        return F.max_pool3d(self.pad(x, kernel, stride), tuple(kernel), tuple(stride))

    @staticmethod
    def pad(x: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
        """SAME padding with zeros."""
        sides = [same_padding(*of) for of in zip(x.shape[2:], kernel, stride, strict=True)]
        return F.pad(x, [n for side in reversed(sides) for n in side])


def random_i3d() -> InceptionI3d:
    """An I3D with random weights and norms that keep its activations near 1."""
    model = InceptionI3d()
    randomise(model, 1)
    calibrate(model, i3d_input(torch.from_numpy(moving_pictures(8, 64))), 8)
    return model


def moving_pictures(num: int, size: int) -> np.ndarray:
    """Windows as bytes `[num, T, size, size, 3]`: coloured noise that moves by a pixel a frame, each its own."""
    generator = torch.Generator().manual_seed(2)
    coarse = torch.rand((num, 3, size // 8 + 1, size // 8 + 1), generator=generator)
    side = size + WINDOW
    pictures = F.interpolate(coarse, (side, side), mode="bicubic").mul_(255).clamp_(0, 255).to(torch.uint8)
    frames = [pictures[..., t : t + size, t : t + size] for t in range(WINDOW)]
    return torch.stack(frames, 1).permute(0, 1, 3, 4, 2).contiguous().numpy()


class OfI3d(NamedTuple):
    """What was measured at one size: times of a window, the peer's operations in GFLOP, and 1 - cosine to the peer."""

    peer: Times
    now: dict[str, Times]
    gflop: float
    distance: dict[str, float]


def measure_i3d(size: int, precisions: Sequence[str], rounds: int) -> OfI3d:
    """Time the stage's encoder on its own batches, beside the published way on one window."""
    device, model = compute_device(), random_i3d()
    batch = moving_pictures(windows_at_once(BATCH_SIZE, size, WINDOW, device), size)
    x_BCTHW = i3d_input(torch.from_numpy(batch[:1]).to(device)).contiguous()
    plain = PlainI3d({name: tensor.to(device) for name, tensor in model.state_dict().items()})
    encoders = {precision: make_encoder(model, precision) for precision in precisions}
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            expected = plain(x_BCTHW)[0].double().cpu()
        found = {precision: torch.from_numpy(encode(batch)[0]).double() for precision, encode in encoders.items()}
        ways = [lambda: plain(x_BCTHW), *(lambda own=encode: own(batch) for encode in encoders.values())]
        peer, *now = take_turns(ways, rounds)
    return OfI3d(
        peer,
        {p: Times(t.wall / len(batch), t.cpu / len(batch)) for p, t in zip(precisions, now, strict=True)},
        counter.get_total_flops() / 1e9,
        {p: 1 - F.cosine_similarity(features, expected, 0).item() for p, features in found.items()},
    )


def i3d_rows(size: int, precisions: Sequence[str], rounds: int) -> list[Row]:
    """Rows of I3D at one size; goals hold at the published 224 pixels."""
    found, rows = measure_i3d(size, precisions, rounds), []
    goals = {"fp32": 2, "bf16": 3} if size == 224 else {}
    for precision, times in found.now.items():
        stage, now = f"extract_i3d, a window of {size} pixels, {precision}", f"{times.wall:.1f} ms"
        eager = f"published way in float32: {found.peer.wall:.1f} ms"
        rows.append(Row(stage, now, eager, found.peer.wall / times.wall, goals.get(precision)))
        rate = matmul_rate(torch.float32 if precision == "fp32" else torch.bfloat16)
        limit = f"{found.gflop:.1f} GFLOP at {rate:.0f} GFLOP/s"
        share = 1000 * found.gflop / times.wall / rate
        rows.append(Row(stage, now, limit, share, 0.6 if size == 224 else None, "%"))
        far, most = found.distance[precision], MOST_DISTANCE if precision == "fp32" else None
        rows.append(Row(f"{stage}, 1 - cosine", f"{far:.1e}", "published way in float32", far, most, "", at_most=True))
    return rows


def sampled_frames(num: int, height: int, width: int) -> Tensor:
    """Smooth random frames as bytes `[F, H, W, C]`."""
    coarse = torch.rand((num, 3, height // 8, width // 8), generator=torch.Generator().manual_seed(3))
    frames = F.interpolate(coarse, (height, width), mode="bicubic").mul_(255).clamp_(0, 255).to(torch.uint8)
    return frames.permute(0, 2, 3, 1).contiguous()


def cells_by_pillow(frames_FHWC: Tensor, size: int) -> Tensor:
    """Cut the cells of frames out one by one, as bytes `[F, K, C, S, S]`, as torchvision's transforms would."""
    boxes = frame_boxes(*frames_FHWC.shape[1:3], CELLS, OVERLAP)
    cells = []
    for frame in frames_FHWC.numpy():
        for x0, y0, x1, y1 in boxes.tolist():
            scale = size / min(x1 - x0, y1 - y0)
            wide, high = math.floor((x1 - x0) * scale + 1e-9), math.floor((y1 - y0) * scale + 1e-9)
            cell = Image.fromarray(frame[y0:y1, x0:x1]).resize((wide, high), Image.Resampling.BICUBIC)
            left, top = round((wide - size) / 2), round((high - size) / 2)
            cells.append(np.asarray(cell.crop((left, top, left + size, top + size))))
    found = torch.from_numpy(np.stack(cells)).permute(0, 3, 1, 2)
    return found.unflatten(0, (len(frames_FHWC), CELLS**2))


def cells_rows(
    name: str, tower: Clip4Clip, frames_FHWC: Tensor, for_peer: int, precisions: Sequence[str], rounds: int
) -> list[Row]:
    """Rows of cutting and embedding the cells of frames, of which the peer does the first `for_peer`."""
    device, size = compute_device(), tower.image_size
    boxes = frame_boxes(*frames_FHWC.shape[1:3], CELLS, OVERLAP)
    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16}
    towers = {p: for_images(copy.deepcopy(tower).to(device), dtypes[p]) for p in precisions}
    nothing: Rows = {}

    def now(precision: str) -> np.ndarray:
        cells = cut_cells(frames_FHWC, boxes, size).flatten(0, 1)
        ((_, embeddings),) = embed([(nothing, cells)], towers[precision], device, dtypes[precision])
        return embeddings

    alone = copy.deepcopy(tower).to(device)

    def one_by_one() -> list[Tensor]:
        cells = cells_by_pillow(frames_FHWC[:for_peer], size).flatten(0, 1)
        return [alone.encode_image(normalise(cell[None].to(device))).cpu() for cell in cells]

    with torch.inference_mode():
        peer, *times = take_turns([one_by_one, *(lambda p=p: now(p) for p in precisions)], rounds)
    num_cells, num_of_peer = len(frames_FHWC) * CELLS**2, for_peer * CELLS**2
    alone_ms = peer.wall / num_of_peer
    rows = []
    for precision, time in zip(precisions, times, strict=True):
        own_ms = time.wall / num_cells
        against = f"Pillow and one forward a cell, float32: {alone_ms:.2f} ms"
        rows.append(
            Row(f"build_grid_nodes, a cell, {name}, {precision}", f"{own_ms:.2f} ms", against, alone_ms / own_ms, 2)
        )
    off = (cut_cells(frames_FHWC, boxes, size).int() - cells_by_pillow(frames_FHWC, size).int()).abs().max().item()
    stage = f"build_grid_nodes, pixels of cells of {size} pixels"
    return [*rows, Row(stage, f"{off} of 255 off", "Pillow's bicubic", off, 1, "of 255", at_most=True)]


def rows(rounds: int) -> list[Row]:
    """Measure both encoders at the demo's sizes and at those of published weights."""
    device = compute_device()
    has_bf16 = compute_dtype("auto", device) == torch.bfloat16
    precisions = ("fp32", "bf16") if has_bf16 else ("fp32",)
    found = [row for size in (224, 48) for row in i3d_rows(size, precisions, rounds)]
    torch.manual_seed(1)
    demo, published = Clip4Clip(DEMO_TOWER).eval(), Clip4Clip("ViT-B-32").eval()
    found += cells_rows("the demo's ResNet", demo, sampled_frames(32, 72, 96), 2, precisions, rounds)
    return found + cells_rows("ViT-B-32", published, sampled_frames(4, 240, 320), 1, precisions, rounds)


if __name__ == "__main__":
    raise SystemExit(main("encoders", __doc__, rows))

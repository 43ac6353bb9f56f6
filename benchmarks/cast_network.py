"""Compare the attention of CAST with a softmax by hand, at the sizes of ViT-B/16: its time and its peak of memory.

Run: `python -m benchmarks.cast_network`. The joint attention of the temporal expert has 1,568 tokens of a clip, 768
wide, with 12 heads; the windows of the exchange have 8 or 196 tokens, 384 wide. A step is a forward and a backward
pass. Times are of the processor, and ways take turns, so that other work on the machine matters little. A peak is what
the memory of a process of its own rises by in one step, as Linux tells it.
"""

import multiprocessing
import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.measuring import Row, main, take_turns
from pipeline.recognition.towers.spatial import attend

HEADS = 12
JOINT = "joint attention, 1,568 tokens"
# Rows of tokens that attend to each other, tokens of a row, and their width, for one clip.
SIZES = {
    JOINT: (1, 1568, 768),
    "attention of frames, 8 x 197 tokens": (8, 197, 768),
    "exchange, windows of 8 times": (196, 8, 384),
    "exchange, windows of 196 places": (8, 196, 384),
    "exchange, one window of 1,568": (1, 1568, 384),
}
Way = Callable[[Tensor, Tensor, Tensor, int], Tensor]
CLOSE = 1e-4  # of the largest result


def rows(rounds: int) -> list[Row]:
    """Measure all."""
    found = [row for name, size in SIZES.items() for row in attention_rows(name, size, rounds)]
    return [*found, peak_row(JOINT, SIZES[JOINT])]


def attention_rows(name: str, size: tuple[int, int, int], rounds: int, heads: int = HEADS) -> list[Row]:
    """Time without gradients, and time of a step.

    Raises:
        ValueError: The results differ.
    """
    asked, key, value = inputs(size)
    with torch.no_grad():
        expected = attend(asked, key, value, heads)
        difference = float((by_hand(asked, key, value, heads) - expected).abs().max() / expected.abs().max())
        if difference > CLOSE:
            raise ValueError(f"{name}: the softmax by hand differs by {difference:.1e} of the largest result")
        forward = take_turns([lambda way=way: way(asked, key, value, heads) for way in WAYS], rounds)  # type: ignore[misc]
    steps = take_turns([lambda way=way: step(way, size, heads) for way in WAYS], rounds)  # type: ignore[misc]
    return [
        Row(f"{name}, {what}", f"processor {ours.cpu:.1f} ms", f"by hand: {hand.cpu:.1f} ms", hand.cpu / ours.cpu)
        for what, (ours, hand) in (("forward", forward), ("step", steps))
    ]


def peak_row(name: str, size: tuple[int, int, int], heads: int = HEADS) -> Row:
    """Peaks of memory of a step."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        ours, hand = (pool.apply(rise, (number, size, heads)) for number in range(len(WAYS)))
    return Row(f"{name}, peak of a step", f"{ours / 1e6:.0f} MB", f"by hand: {hand / 1e6:.0f} MB", hand / ours)


def inputs(size: tuple[int, int, int]) -> list[Tensor]:
    """Queries, keys and values."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, generator=generator).requires_grad_() for _ in range(3)]


def by_hand(q_BND: Tensor, k_BMD: Tensor, v_BMD: Tensor, heads: int) -> Tensor:
    """Attention whose weights are written out."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q_BND, k_BMD, v_BMD))
    weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2)


WAYS: tuple[Way, ...] = (attend, by_hand)


def step(way: Way, size: tuple[int, int, int], heads: int) -> None:
    """A forward and a backward pass."""
    way(*inputs(size), heads).square().mean().backward()


def rise(number: int, size: tuple[int, int, int], heads: int) -> int:
    """Bytes by which the peak of this process rises in a step of one of the ways."""
    torch.set_num_threads(1)
    step(WAYS[number], (1, 2, size[2]), heads)  # what libraries take once
    before = own_peak()
    step(WAYS[number], size, heads)
    return own_peak() - before


def own_peak() -> int:
    """The peak of this process in bytes, as Linux tells it; `ru_maxrss` begins with that of the starting process."""
    (found,) = re.findall(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return 1024 * int(found)


if __name__ == "__main__":
    raise SystemExit(main("cast_network", __doc__ or "", rows))

"""Compare steps of CAST whose first blocks are computed, stored, or trained as well.

Run: `python -m benchmarks.cast_front`. A step is a forward and a backward pass of two clips. The experts have
ViT-B/16's 12 blocks and 16 frames, a quarter of its width and half of its side (192 numbers, 3 heads, frames of 112
pixels), so that a round takes seconds on one thread. The stored tokens lie in memory, in half precision, as
`pipeline.recognition.fronts` gives them. Times are of the processor, and ways take turns, so that other work on the
machine matters little. Bytes of a view are those before compression.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from benchmarks.measuring import Row, main, take_turns
from pipeline.recognition.cast_body import CastBody
from pipeline.recognition.cast_part import CastPart
from pipeline.recognition.cast_plan import CastOptions
from pipeline.recognition.cast_recognizer import CastRecognizer
from pipeline.recognition.fronts import FromFronts, packed
from pipeline.recognition.towers.spatial import SpatialTower
from pipeline.recognition.towers.temporal import TemporalTower

CLIPS, CLASSES, LATE = 2, 174, 10
SIDE, PATCH, FRAMES, TUBELET, WIDTH, HEADS, LAYERS = 112, 16, 16, 2, 192, 3, 12
FULL_SIDE, FULL_WIDTH = 224, 768
HALF_BYTES = 2
CLOSE = 1e-2  # of the largest logit, in half precision
EARLY = CastOptions(True, "both", "time", "space", True, 0.5, 1, "added", 0.0)


def rows(rounds: int) -> list[Row]:
    """Measure all."""
    torch.manual_seed(0)
    x = torch.randint(0, 256, (CLIPS, FRAMES, 3, SIDE, SIDE), dtype=torch.uint8)
    body = CastBody(
        SpatialTower(SIDE, PATCH, WIDTH, HEADS, LAYERS),
        TemporalTower(SIDE, PATCH, FRAMES, TUBELET, WIDTH, HEADS, LAYERS),
    )
    whole = CastRecognizer(body, CastPart(body, {"class": CLASSES}, EARLY))
    late = CastRecognizer(body, CastPart(body, {"class": CLASSES}, replace(EARLY, first_block=LATE)))
    with torch.no_grad():
        for parameter in late.part.parameters():
            if parameter.ndim > 1:  # what begins with zeros would hide all that stands before
                parameter.normal_(0, 0.2)
        tokens = late.part.front(body, late.pixels(x).transpose(1, 2))
        stored = packed(tokens, body.steps).half()
        difference = (FromFronts(late)(stored)["class"] - late(x)["class"]).abs().max() / late(x)["class"].abs().max()
    if difference > CLOSE:
        raise ValueError(f"stored tokens give logits that differ by {difference:.1e} of the largest one")
    ways = ((FromFronts(late), stored), (late, x), (whole, x))
    of_stored, of_late, of_whole = take_turns([lambda way=way: step(*way) for way in ways], rounds)  # type: ignore[misc]
    name = f"step of CAST, {CLIPS} clips of {FRAMES} x {SIDE} pixels, width {WIDTH}, first_block: {LATE}"
    return [
        Row(
            f"{name}, stored", f"{of_stored.cpu:.0f} ms", f"computed: {of_late.cpu:.0f} ms", of_late.cpu / of_stored.cpu
        ),
        Row(
            f"{name}, computed",
            f"{of_late.cpu:.0f} ms",
            f"from block 1: {of_whole.cpu:.0f} ms",
            of_whole.cpu / of_late.cpu,
        ),
        bytes_row(stored[0].numel() * HALF_BYTES),
    ]


def step(model: nn.Module, x: Tensor) -> None:
    """A forward and a backward pass."""
    model(x)["class"].square().mean().backward()
    model.zero_grad()


def bytes_row(measured: int) -> Row:
    """Bytes of a stored view here, and of ViT-B/16's."""
    full = view_bytes(FULL_SIDE, FULL_WIDTH)
    if measured != view_bytes(SIDE, WIDTH):
        raise ValueError(f"a view has {measured} bytes, and not those that its size says")
    return Row("a stored view of CAST", f"{measured / 1e6:.2f} MB", f"ViT-B/16: {full / 1e6:.2f} MB", full / measured)


def view_bytes(side: int, width: int) -> int:
    """Bytes of the tokens of both streams of a clip: a class token and places in each step, and the places again."""
    steps, places = FRAMES // TUBELET, (side // PATCH) ** 2
    return steps * (1 + 2 * places) * width * HALF_BYTES


if __name__ == "__main__":
    raise SystemExit(main("cast_front", __doc__ or "", rows))

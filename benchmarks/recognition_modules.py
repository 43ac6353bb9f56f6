"""Compare RSTG and DyReg with plain forms, and TSM-R50 with and without each module.

Run: `python -m benchmarks.recognition_modules`. A module's step is a forward and a backward pass, at the sizes of the
papers. The plain forms have equal weights and give equal results (`benchmarks.plain_modules`): frame after frame, node
after node, and messages either pair by pair or all pairs of a frame at once. TSM-R50 sees 8 frames of 224 pixels and
gives logits, without gradients; its two forms take turns. Times are of the processor, so that other work on the machine
matters little. Operations are those of matrix products and convolutions, as `torch.utils.flop_counter` counts them.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import Row, main, take_turns
from benchmarks.plain_modules import PlainGraph, PlainRstg
from pipeline.recognition.backbones.frame_resnet import FrameResNet
from pipeline.recognition.backbones.places import FINAL, INSIDE, Recorder
from pipeline.recognition.dyreg import DyReg
from pipeline.recognition.pixels import Pixels
from pipeline.recognition.placement import Graph
from pipeline.recognition.recognizer import Recognizer
from pipeline.recognition.rstg import Rstg

FRAMES, SIZE, CLASSES = 8, 224, 174
GOAL_STEP = 3.0
GOAL_SHARE, SHARE = 2.5, "% more"
CLOSE = 1e-4  # of the largest result


def rows(rounds: int) -> list[Row]:
    """Measure all."""
    torch.manual_seed(0)
    return [*rstg_rows(rounds), *dyreg_rows(rounds), *share_rows(rounds)]


def rstg_rows(rounds: int, width: int = 512, frames: int = 10) -> list[Row]:
    """RSTG of SyncMNIST's width on maps of 6 x 6 places."""
    module = Rstg(width, 6, 6, width)
    nn.init.ones_(module.residual.scale)  # type: ignore[union-attr]
    plain = [PlainRstg(module, one_by_one) for one_by_one in (True, False)]
    return _steps(
        f"RSTG, {width} channels, {frames} frames", module, plain, torch.randn(1, frames, width, 6, 6), rounds
    )


def dyreg_rows(rounds: int, width: int = 256, frames: int = 8) -> list[Row]:
    """The graph of DyReg as at layer3.4 of TSM-R50."""
    module = DyReg(width, 14, 14, width)
    plain = [PlainGraph(module, one_by_one) for one_by_one in (True, False)]
    name = f"graph of DyReg, {width} channels, {frames} frames"
    return _steps(name, module.graph, plain, torch.randn(1, frames, 9, width), rounds)


def share_rows(rounds: int, size: int = SIZE, frames: int = FRAMES) -> list[Row]:
    """TSM-R50 with each module, as shares of the time and the operations of TSM-R50 alone."""
    placed = {
        "DyReg at layer2.2": {"layer2.2" + INSIDE: (128, 128)},
        "DyReg at layer3.4": {"layer3.4" + INSIDE: (256, 256)},
        "DyReg at layer4.1": {"layer4.1" + INSIDE: (512, 256)},
        "RSTG after res4": {"layer3.4": (1024, 512)},
        "RSTG at the end": {FINAL: (2048, 512)},
    }
    backbone = FrameResNet(50, 4, 3, 0.125).eval()
    recorder = Recorder()
    with torch.no_grad():
        maps = backbone(torch.zeros(1, 1, 3, size, size), recorder)
    shapes = {**recorder.shapes, FINAL: tuple(maps.shape)}
    x = torch.randint(0, 256, (1, frames, 3, size, size))
    found = []
    plain = _recognizer(backbone, {}, shapes)
    operations = _operations(plain, x)
    for name, places in placed.items():
        graphs: dict[str, Graph] = {}
        for place, (channels, width) in places.items():
            made = DyReg if name.startswith("DyReg") else Rstg
            graphs[place] = made(channels, *shapes[place][3:], width)
        changed = _recognizer(backbone, graphs, shapes)
        with torch.no_grad():
            alone, both = take_turns([lambda: plain(x), lambda changed=changed: changed(x)], rounds)  # type: ignore[misc]
        more = _operations(changed, x) / operations - 1
        stage = f"TSM-R50, {name}"
        milliseconds = f"processor {both.cpu:.0f} ms", f"alone: {alone.cpu:.0f} ms"
        found.append(
            Row(f"{stage}, time", *milliseconds, 100 * (both.cpu / alone.cpu - 1), GOAL_SHARE, SHARE, at_most=True)
        )
        counted = f"{operations * (1 + more) / 1e9:.2f} GFLOP", f"alone: {operations / 1e9:.2f} GFLOP"
        found.append(Row(f"{stage}, operations", *counted, 100 * more, GOAL_SHARE, SHARE, at_most=True))
    return found


def _recognizer(
    backbone: FrameResNet, graphs: Mapping[str, Graph], shapes: Mapping[str, tuple[int, ...]]
) -> Recognizer:
    return Recognizer(backbone, Pixels("imagenet", 3), graphs, shapes, {"class": CLASSES}, 0.0).eval()


def _operations(model: nn.Module, x: Tensor) -> float:
    with FlopCounterMode(display=False) as counter:
        model(x)
    return float(counter.get_total_flops())


def _steps(name: str, module: nn.Module, plain: list[nn.Module], x: Tensor, rounds: int) -> list[Row]:
    """A row for each plain form, pair by pair and frame by frame.

    Raises:
        ValueError: The results differ.
    """
    with torch.no_grad():
        expected = module(x)
        for other in plain:
            difference = float((other(x) - expected).abs().max() / expected.abs().max())
            if difference > CLOSE:
                raise ValueError(f"{name}: the plain form differs by {difference:.1e} of the largest result")
    ways = [lambda way=way: _step(way, x) for way in (module, *plain)]  # type: ignore[misc]
    ours, *theirs = take_turns(ways, rounds)
    forms = ("pair by pair", "all pairs of a frame at once")
    goals = (GOAL_STEP, None)
    return [
        Row(f"{name}, step", f"processor {ours.cpu:.0f} ms", f"{form}: {times.cpu:.0f} ms", times.cpu / ours.cpu, goal)
        for form, times, goal in zip(forms, theirs, goals, strict=True)
    ]


def _step(module: nn.Module, x: Tensor) -> None:
    module.zero_grad(set_to_none=True)
    module(x).square().mean().backward()


if __name__ == "__main__":
    raise SystemExit(main("recognition_modules", __doc__ or "", rows))

"""Measure the memory of TSTL with 15 experts: a selector and experts over one frozen body, and 16 whole models.

Run: `python -m benchmarks.tstl_memory`. Parameters are counted at full size (ViT-B/16 of both experts, 174 classes) on
the meta device, which fills no memory. The peak is measured at a smaller size, in a process for each way: it is
`ru_maxrss`, with the libraries, which a process that builds nothing is measured for. Each process gives a clip to all
16 networks.
"""

import argparse
import sys
from typing import Any

from benchmarks.memory import measure

# The parent stays small and imports no torch: see `benchmarks.memory`.

CLASSES, GROUPS = 174, 15
FULL = {"width": 768, "heads": 12, "depth": 12, "image_size": 224, "frames": 16}
MEASURED = {"width": 256, "heads": 4, "depth": 12, "image_size": 64, "frames": 8}
WAYS = ("nothing", "shared", "whole")


def build(sizes: dict[str, int], shares: bool) -> list[Any]:
    """Build a selector and an expert for each group, over one body or each over its own; on torch's default device."""
    from pipeline.recognition.cast_body import CastBody
    from pipeline.recognition.cast_part import CastPart
    from pipeline.recognition.cast_plan import CastOptions
    from pipeline.recognition.cast_recognizer import CastRecognizer
    from pipeline.recognition.towers.spatial import SpatialTower
    from pipeline.recognition.towers.temporal import TemporalTower

    def body() -> CastBody:
        width, heads, depth, side = (sizes[name] for name in ("width", "heads", "depth", "image_size"))
        return CastBody(
            SpatialTower(side, 16, width, heads, depth, "quick_gelu"),
            TemporalTower(side, 16, sizes["frames"], 2, width, heads, depth),
        )

    options = CastOptions(True, "both", "time", "space", True, 0.5, 1, "added", 0.0)
    common = body() if shares else None
    heads = [{"group": GROUPS}, *[{"class": CLASSES}] * GROUPS]
    bodies = [common or body() for _ in heads]
    return [CastRecognizer(own, CastPart(own, one, options)).eval() for own, one in zip(bodies, heads, strict=True)]


def count(sizes: dict[str, int], shares: bool) -> int:
    """Number of parameters, each counted once."""
    import torch

    with torch.device("meta"):
        models = build(sizes, shares)
    return sum({id(one): one.numel() for model in models for one in model.parameters()}.values())


def run(way: str) -> None:
    """What the measured process does."""
    import torch

    torch.set_num_threads(1)
    if way == "nothing":
        build(MEASURED | {"width": 16, "heads": 1, "depth": 1}, True)
        return
    models = build(MEASURED, way == "shared")
    side, frames = MEASURED["image_size"], MEASURED["frames"]
    x = torch.zeros(1, frames, 3, side, side, dtype=torch.uint8)
    with torch.inference_mode():
        for model in models:
            model(x)


def main(arguments: list[str]) -> None:
    """Print a table of both ways, or do what a measured process does."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--full", action="store_true", help="with --way: count the parameters at full size")
    chosen = parser.parse_args(arguments)
    if chosen.way and chosen.full:
        print(count(FULL, chosen.way == "shared"), count(MEASURED, chosen.way == "shared"))
        return
    if chosen.way:
        run(chosen.way)
        return
    command = [sys.executable, "-m", "benchmarks.tstl_memory", "--way"]
    libraries = measure([*command, "nothing"]).peak
    print(f"{'':8}{'parameters at full size':>26}{'measured':>12}{'peak':>10}{'without libraries':>20}")
    for way in WAYS[1:]:
        full, small = map(int, measure([*command, way, "--full"]).output.split())
        peak = measure([*command, way]).peak
        own = (peak - libraries) / 1e6
        print(f"{way:8}{full / 1e6:>24.1f} M{small / 1e6:>10.1f} M{peak / 1e6:>7.0f} MB{own:>17.0f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])

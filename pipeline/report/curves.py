"""Draw training curves from the tables that trainings wrote."""

import csv
import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

Points = tuple[list[float], list[float]]  # epochs, and the values at these

COLOURS = ("#3b82c4", "#d9822b", "#3f9a5f", "#b35bb0", "#8a8a2d")
STYLES = ("solid", "dashed", "dotted", "dashdot")  # line styles of the first seeds; further seeds begin again
MANY_LINES = 5  # axes with more lines have a small legend
SHARED = {
    "loss": "loss",
    "left_to_right": "loss",
    "right_to_left": "loss",
    "lr": "learning rate",
    "top1": "top-1",
}  # a word in a curve's name, and the title of the axes that such curves share
INK = "#7a7a7a"  # legible on white and on black: the picture cannot know the page's colours
STYLE: Any = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "font.family": "sans-serif",
    "font.size": 10,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "curves",  # with a fixed salt, the same curves give the same file
    "xtick.color": INK,
    "ytick.color": INK,
}


class Training(NamedTuple):
    """What a training wrote of its epochs.

    Attributes:
        curves: The name of each curve to its epochs and values.
        kept: The epoch whose weights were kept; None where the table does not say.
    """

    curves: dict[str, Points]
    kept: float | None


def read_training(path: Path) -> Training:
    """Read the CSV table of a training: its curves (see `read_curves`), and the epoch whose row has `kept_by`."""
    with path.open(newline="", encoding="utf-8") as file:
        kept = next((row.get("epoch") for row in csv.DictReader(file) if row.get("kept_by")), None)
    return Training(read_curves(path), _number(kept))


def read_curves(path: Path) -> dict[str, Points]:
    """Read the CSV table of a training as curves over epochs.

    Args:
        path: A table with a column `epoch` (or `step`) and columns of numbers; cells may be empty.

    Returns:
        For each column with a number, its epochs (or steps; row numbers if the table has neither) and its values.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = list(rows[0]) if rows else []
    along = next((name for name in ("epoch", "step") if name in columns), None)
    curves: dict[str, Points] = {}
    for name in columns:
        cells = [(row[along] if along else str(i), row[name]) for i, row in enumerate(rows) if name != along]
        numbers = [(_number(x), _number(y)) for x, y in cells]
        points = [(x, y) for x, y in numbers if x is not None and y is not None]
        if points and name not in ("epoch", "step"):
            curves[name] = ([x for x, _ in points], [y for _, y in points])
    return curves


def chosen_by_loss(path: Path) -> str | None:
    """The number of the epoch whose weights were kept, if the validation loss chose it; None otherwise."""
    with path.open(newline="", encoding="utf-8") as file:
        return next((row["epoch"] for row in csv.DictReader(file) if row.get("kept_by") == "val_loss"), None)


def group(names: Sequence[str]) -> dict[str, list[str]]:
    """Group the names of curves by the axes they share: losses, learning rates, and any other curve by itself."""
    groups: dict[str, list[str]] = {}
    for name in names:
        kind = next((title for word, title in SHARED.items() if word in name), name)
        groups.setdefault(kind, []).append(name)
    return groups


def draw_curves(trainings: Mapping[int, Training]) -> str:
    """Draw curves side by side, with a line for each seed: its colour tells the curve, its style the seed.

    Losses have a logarithmic axis, so that the first epoch does not flatten the others. A thin line marks the epoch
    whose weights were kept.

    Args:
        trainings: That of each seed, at least one; the legend names seeds only where there are several.

    Returns:
        The picture as the `src` of an image: SVG on a transparent background.
    """
    seeds = {seed: training.curves for seed, training in trainings.items()}
    groups = group(list(dict.fromkeys(name for curves in seeds.values() for name in curves)))
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6 * columns, 2.7 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).flat
        for axes, (title, names) in zip(grid, groups.items(), strict=False):
            lines = [(name, seed) for seed, curves in seeds.items() for name in names if name in curves]
            for name, seed in lines:
                points = seeds[seed][name]
                told = f"{name}, seed {seed}" if len(seeds) > 1 else name
                axes.plot(
                    *points,
                    label=told.replace("_", " "),
                    marker="o" if len(points[0]) < 20 else "",
                    color=COLOURS[names.index(name) % len(COLOURS)],
                    linestyle=STYLES[list(seeds).index(seed) % len(STYLES)],
                    markersize=3,
                    linewidth=1.6,
                )
            for kept in sorted({training.kept for training in trainings.values() if training.kept is not None}):
                axes.axvline(kept, color=INK, linewidth=0.8, linestyle="dotted")
            if title == "loss" and all(value > 0 for name, seed in lines for value in seeds[seed][name][1]):
                axes.set_yscale("log")
            axes.set_title(title.replace("_", " "), fontsize=10)
            axes.set_xlabel("epoch")
            axes.grid(visible=True)
            axes.locator_params(axis="x", integer=True, nbins=6)
            if len(lines) > 1:
                axes.legend(fontsize=8 if len(lines) <= MANY_LINES else 5)
        for axes in list(grid)[len(groups) :]:
            axes.set_visible(False)
        content = io.BytesIO()
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None})
    return f"data:image/svg+xml;base64,{b64encode(content.getvalue()).decode()}"


def _number(cell: str | None) -> float | None:
    try:
        return float(cell) if cell else None
    except ValueError:
        return None

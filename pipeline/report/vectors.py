"""Draw the vectors of clips in the plane in which they differ the most.

Shapes: C clips, D numbers of a vector.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.jobs.storage import replaced
from pipeline.report.curves import INK, STYLE

MOST_NAMED = 16  # kinds that a legend can tell apart
LONGEST = 32  # letters of a name in the legend
Numbers = NDArray[np.float64]


def principal_plane(x_CD: NDArray[np.floating]) -> tuple[Numbers, Numbers]:
    """Places of vectors along the two directions in which they differ the most (principal components).

    A direction points to where its largest number is positive, so that equal vectors give equal places.

    Args:
        x_CD: The vectors.

    Returns:
        The places `[C, 2]`, and the share of the variance that each direction has `[2]`; zeros for what there is not.
    """
    centred_CD = x_CD.astype(np.float64) - x_CD.mean(0, dtype=np.float64)
    _, lengths, directions_KD = np.linalg.svd(centred_CD, full_matrices=False)
    largest = np.abs(directions_KD).argmax(1)
    directions_KD *= np.sign(directions_KD[np.arange(len(largest)), largest])[:, None]
    places_C2, shares_2 = np.zeros((len(x_CD), 2)), np.zeros(2)
    number = min(2, len(lengths))
    places_C2[:, :number] = centred_CD @ directions_KD[:number].T
    whole = (lengths**2).sum()
    shares_2[:number] = lengths[:number] ** 2 / whole if whole else 0.0
    return places_C2, shares_2


def draw_vectors(x_CD: NDArray[np.floating], kinds: Sequence[int], names: Sequence[str], out: Path) -> None:
    """Draw a point for each clip, with a colour for each kind, as PNG; the same vectors give the same file.

    Args:
        x_CD: The vectors.
        kinds: The kind of each clip, such as its class or its group.
        names: Names of the kinds.
        out: Where the picture goes.
    """
    places_C2, shares_2 = principal_plane(x_CD)
    of_clip = np.asarray(kinds)
    colours = mpl.colormaps["turbo"](np.linspace(0.05, 0.95, len(names)))
    style: dict[str, Any] = {key: value for key, value in STYLE.items() if not key.startswith("svg.")}
    with mpl.rc_context(style):
        figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
        axes = figure.subplots()
        for kind in np.unique(of_clip):
            own = places_C2[of_clip == kind]
            axes.scatter(own[:, 0], own[:, 1], s=14, color=colours[kind], label=_short(names[kind]), linewidths=0)
        for axis, share, number in zip((axes.xaxis, axes.yaxis), shares_2, ("first", "second"), strict=True):
            axis.set_label_text(f"{number} direction, {share:.0%} of the variance")
            axis.set_ticks([])
        if len(names) <= MOST_NAMED:
            figure.legend(loc="outside right upper", fontsize=8, labelcolor=INK)
        with replaced(out) as new:
            figure.savefig(new, format="png", transparent=True, metadata={"Software": None})


def _short(name: str) -> str:
    """A name that fits into the legend; a dollar would begin a formula, an underscore would hide the entry."""
    cut = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return " " + cut.replace("$", r"\$")

"""Draw the workflow as it ran: which stage reads from which, and how many jobs each had."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

from pipeline.report.layout import Item, Layout, lay_out

WIDTH, HEIGHT = 168, 44  # size of a box in pixels: a finger's
QUOTES = {'"': "&quot;"}
GAP, ROW, MARGIN = 18, 70, 8  # pixels: between boxes of a row, from row to row, around the picture


@dataclass(frozen=True)
class Stage:
    """A stage of the workflow, as the rules have it.

    Attributes:
        jobs: Number of its jobs that the report depends on.
        reads: Names of the stages whose output these jobs read.
    """

    jobs: int
    reads: list[str]


def draw_dag(stages: Mapping[str, Stage], notes: Mapping[str, str] | None = None) -> str:
    """Draw each stage with arrows from the stages that it reads from, without arrows that a longer path implies.

    Args:
        stages: The stages by name.
        notes: What stands below the name of a stage behind its jobs, such as its seconds.

    Returns:
        An `svg` element; its colours come from the page's styles for the classes `stage`, `count`, `arrow` and `tip`.
        Each box leads to `#stage-NAME`.
    """
    notes = notes or {}
    layout = lay_out(without_cycles({name: stage.reads for name, stage in stages.items()}), WIDTH, GAP)
    boxes = [item for row in layout.rows for item in row if isinstance(item, str)]
    top = {item: MARGIN + number * ROW for number, row in enumerate(layout.rows) for item in row}
    width = 2 * MARGIN + round(layout.width)
    height = 2 * MARGIN + HEIGHT + ROW * (len(layout.rows) - 1)
    listed = "; ".join(f"{box} ({stages[box].jobs})" for box in boxes)
    parts = [
        f'<svg class="dag" viewBox="0 0 {width} {height}" style="min-width: {width}px; max-width: {width}px" '
        'role="group" aria-labelledby="dag-title" aria-describedby="dag-desc">',
        '<title id="dag-title">Stages of the workflow</title>',
        f'<desc id="dag-desc">Stages with the number of jobs of each: {escape(listed)}</desc>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerUnits="userSpaceOnUse" '
        'markerWidth="9" markerHeight="9" orient="auto">'
        '<path d="M0 0 8 4 0 8z" class="tip"/></marker></defs>',
        *(f'<path class="arrow" d="{line}" marker-end="url(#tip)"/>' for line in _lines(layout, top)),
    ]
    for box in boxes:
        x, y = layout.centre[box] + MARGIN, top[box]
        count = f"{stages[box].jobs} job{'' if stages[box].jobs == 1 else 's'}{notes.get(box, '')}"
        parts.append(
            f'<a href="#stage-{escape(box, QUOTES)}">'
            f'<rect class="stage" x="{x - WIDTH / 2:.1f}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="7"/>'
            f'<text class="name" x="{x:.1f}" y="{y + 19}">{escape(box)}</text>'
            f'<text class="count" x="{x:.1f}" y="{y + 34}">{escape(count)}</text></a>'
        )
    return "\n".join([*parts, "</svg>"])


def without_cycles(reads: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Leave out what leads back to a stage: its jobs may read one another, as a probe's training reads features.

    Args:
        reads: For each stage those that it reads from.

    Returns:
        The same without circles, in the same order.
    """
    kept: dict[str, list[str]] = {}
    on_the_way: list[str] = []

    def follow(name: str) -> None:
        if name in kept:
            return
        kept[name] = []
        on_the_way.append(name)
        for read in reads[name]:
            if read not in on_the_way:
                kept[name].append(read)
                follow(read)
        on_the_way.pop()

    read_by_some = {read for name, of_name in reads.items() for read in of_name if read != name}
    for name in sorted(reads, key=lambda name: name in read_by_some):  # first those that nobody reads
        follow(name)
    return {name: kept[name] for name in reads}


def _lines(layout: Layout, top: Mapping[Item, int]) -> Iterable[str]:
    """Make the path of each arrow: curved from row to row, and straight down beside the boxes of rows that it passes.

    Args:
        layout: Where boxes and bends are from left to right.
        top: Upper end of each of them in pixels.
    """
    for arrow in layout.arrows:
        line = f"M{layout.centre[arrow[0]] + MARGIN:.1f} {top[arrow[0]] + HEIGHT}"
        for source, target in pairwise(arrow):
            x0, x1 = layout.centre[source] + MARGIN, layout.centre[target] + MARGIN
            y0, y1 = top[source] + HEIGHT, top[target]
            bend = (y1 - y0) / 2
            line += f" C{x0:.1f} {y0 + bend:g} {x1:.1f} {y1 - bend:g} {x1:.1f} {y1}"
            if not isinstance(target, str):
                line += f" V{y1 + HEIGHT}"
        yield line

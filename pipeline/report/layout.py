"""Place the boxes of an acyclic graph in rows, such that arrows point down and rarely cross.

The steps are those of layered drawing (Sugiyama, Tagawa and Toda, 1981): the longest path to a box gives its row, the
mean position of its neighbours gives its order within the row, and then boxes move left and right to keep arrows short.
An arrow that passes rows on its way has a bend in each of them, which takes part in all steps like a narrow box.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import pairwise

ORDER_SWEEPS = 24  # sweeps down and up in turn; the graphs here have some thirty boxes and settle after ten
PLACE_SWEEPS = 200  # enough to make chains of boxes straight
BEND_WEIGHT = 8.0  # weight of a piece of an arrow at a bend, to straighten long arrows before short ones

Bend = tuple[str, str, int]  # the two boxes of the arrow, and the row that it passes
Item = str | Bend


@dataclass(frozen=True)
class Layout:
    """The positions of boxes and arrows in a drawing.

    Attributes:
        rows: Boxes and bends of each row from left to right, the upper row first.
        centre: Distance of the middle of each box and bend from the left end of the drawing, in pixels.
        width: Width of the drawing in pixels.
        arrows: For each arrow the box, bends and box that it joins, from its tail to its tip.
    """

    rows: list[list[Item]]
    centre: dict[Item, float]
    width: float
    arrows: list[list[Item]]


def lay_out(reads: Mapping[str, Iterable[str]], width: float, gap: float) -> Layout:
    """Lay out a graph.

    Args:
        reads: For every box the boxes from which arrows lead to it.
        width: Width of a box in pixels.
        gap: Gap between boxes of a row in pixels, and the width of a bend.

    Raises:
        graphlib.CycleError: The arrows form a cycle.
    """
    direct = without_detours(reads)
    row_of = rows_by_longest_way(direct)
    rows: list[list[Item]] = [[] for _ in range(max(row_of.values(), default=-1) + 1)]
    for box, row in row_of.items():
        rows[row].append(box)
    arrows: list[list[Item]] = []
    for source, box in ((source, box) for box, sources in direct.items() for source in sources):
        bends = [(source, box, row) for row in range(row_of[source] + 1, row_of[box])]
        for bend in bends:
            rows[bend[2]].append(bend)
        arrows.append([source, *bends, box])
    links = [link for arrow in arrows for link in pairwise(arrow)]
    rows = order_rows(rows, links)
    half = {item: width / 2 if isinstance(item, str) else gap / 2 for row in rows for item in row}
    centre = place(rows, links, half, gap)
    left = min((centre[item] - half[item] for item in centre), default=0.0)
    right = max((centre[item] + half[item] for item in centre), default=0.0)
    return Layout(rows, {item: x - left for item, x in centre.items()}, right - left, arrows)


def without_detours(reads: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Leave out each arrow that a longer path implies.

    Args:
        reads: For every box the boxes from which arrows lead to it.

    Returns:
        The same for the arrows that are left, with boxes in an order in which those that are read come first.

    Raises:
        graphlib.CycleError: The arrows form a cycle.
    """
    order = list(TopologicalSorter({box: sorted(sources) for box, sources in sorted(reads.items())}).static_order())
    above: dict[str, set[str]] = {}
    for box in order:
        sources = set(reads.get(box, ()))
        above[box] = sources.union(*(above[source] for source in sources))
    return {
        box: sorted(
            source
            for source in reads.get(box, ())
            if not any(source in above[other] for other in reads[box] if other != source)
        )
        for box in order
    }


def rows_by_longest_way(reads: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Choose the row of each box: below all boxes that it reads, and near its readers if arrows get no longer in sum.

    Args:
        reads: For every box the boxes that it reads, in an order in which those that are read come first.

    Returns:
        The row of each box, from 0 at the top.
    """
    row: dict[str, int] = {}
    readers: dict[str, list[str]] = {box: [] for box in reads}
    for box, sources in reads.items():
        row[box] = 1 + max((row[source] for source in sources), default=-1)
        for source in sources:
            readers[source].append(box)
    for box in reversed(list(reads)):
        if readers[box] and len(readers[box]) >= len(reads[box]):
            row[box] = min(row[reader] for reader in readers[box]) - 1
    return row


def order_rows(rows: Sequence[Sequence[Item]], links: Sequence[tuple[Item, Item]]) -> list[list[Item]]:
    """Order each row by the mean position of the neighbours in the row before, in sweeps down and up.

    Args:
        rows: Boxes and bends of each row, in any order.
        links: Pairs of boxes or bends that arrows join, from a row to the next one.

    Returns:
        The rows in the order that had the fewest crossings.
    """
    above, below = _neighbours(links)
    best = current = [list(row) for row in rows]
    fewest = count_crossings(current, links)
    for sweep in range(ORDER_SWEEPS):
        current = [list(row) for row in current]
        neighbours, numbers = (below, range(len(rows) - 2, -1, -1)) if sweep % 2 else (above, range(1, len(rows)))
        for number in numbers:
            there = {item: i for i, item in enumerate(current[number + 1 if sweep % 2 else number - 1])}
            here = {item: float(i) for i, item in enumerate(current[number])}
            for item in here:
                places = [there[other] for other in neighbours.get(item, ())]
                here[item] = sum(places) / len(places) if places else here[item]
            current[number].sort(key=here.__getitem__)
        crossings = count_crossings(current, links)
        if crossings < fewest:
            best, fewest = current, crossings
    return best


def count_crossings(rows: Sequence[Sequence[Item]], links: Sequence[tuple[Item, Item]]) -> int:
    """Count the pairs of links between the same two rows that cross."""
    place_of = {item: (number, i) for number, row in enumerate(rows) for i, item in enumerate(row)}
    ends = sorted((*place_of[source], place_of[target][1]) for source, target in links)
    return sum(
        row == other_row and start < other_start and end > other_end
        for i, (row, start, end) in enumerate(ends)
        for other_row, other_start, other_end in ends[i + 1 :]
    )


def place(
    rows: Sequence[Sequence[Item]], links: Sequence[tuple[Item, Item]], half: Mapping[Item, float], gap: float
) -> dict[Item, float]:
    """Find centres that keep the order of each row and make the squares of the links' sideways lengths small in sum.

    Args:
        rows: Boxes and bends of each row from left to right.
        links: Pairs of boxes or bends that arrows join, from a row to the next one.
        half: Half the width of each box and bend in pixels.
        gap: Least space between two neighbours of a row in pixels.

    Returns:
        The centre of each box and bend in pixels; it may be negative.
    """
    linked: dict[Item, list[tuple[Item, float]]] = {item: [] for row in rows for item in row}
    for source, target in links:
        weight = 1.0 if isinstance(source, str) and isinstance(target, str) else BEND_WEIGHT
        linked[source].append((target, weight))
        linked[target].append((source, weight))
    centre: dict[Item, float] = {}
    for row in rows:
        centre |= zip(row, spaced([0.0] * len(row), [1.0] * len(row), [half[item] for item in row], gap), strict=True)
    for sweep in range(PLACE_SWEEPS):
        for row in reversed(rows) if sweep % 2 else rows:
            weights, wanted = [], []
            for item in row:
                pulls = linked[item] or [(item, 1.0)]
                weights.append(sum(weight for _, weight in pulls))
                wanted.append(sum(centre[other] * weight for other, weight in pulls) / weights[-1])
            centre |= zip(row, spaced(wanted, weights, [half[item] for item in row], gap), strict=True)
    return centre


def spaced(wanted: Sequence[float], weights: Sequence[float], half: Sequence[float], gap: float) -> list[float]:
    """Find the centres nearest to those wanted, by least squares, for boxes that keep their order and a gap.

    After subtraction of half the widths and the gaps this is isotonic regression, solved by pooling adjacent violators.

    Args:
        wanted: Wanted centre of each box, from left to right.
        weights: Weight of each box in the sum of squares.
        half: Half the width of each box.
        gap: Least space between two boxes.
    """
    offsets = [0.0]
    for left, right in pairwise(half):
        offsets.append(offsets[-1] + left + gap + right)
    # Each run of boxes that touch has its mean without offsets, its weight and its number of boxes.
    runs: list[tuple[float, float, int]] = []
    for x, weight, offset in zip(wanted, weights, offsets, strict=False):
        mean, number = x - offset, 1
        while runs and runs[-1][0] > mean:
            other_mean, other_weight, other_number = runs.pop()
            mean = (mean * weight + other_mean * other_weight) / (weight + other_weight)
            weight, number = weight + other_weight, number + other_number
        runs.append((mean, weight, number))
    means = [mean for mean, _, number in runs for _ in range(number)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]


def _neighbours(links: Sequence[tuple[Item, Item]]) -> tuple[dict[Item, list[Item]], dict[Item, list[Item]]]:
    """Collect the items that each item is linked with in the row above, and those in the row below."""
    above: dict[Item, list[Item]] = {}
    below: dict[Item, list[Item]] = {}
    for source, target in links:
        above.setdefault(target, []).append(source)
        below.setdefault(source, []).append(target)
    return above, below

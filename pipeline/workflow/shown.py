"""Which videos of a data set the report shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.workflow.splits import scored_splits


def shown_split(dataset: Mapping[str, Any]) -> str:
    """The split whose clips the page shows: that of tests, or of validation where the settings say there is none."""
    return scored_splits(dataset)[-1]


def spread(ids: Sequence[str], count: int) -> list[str]:
    """Choose `count` ids at equal distances, whatever they score; all of them if there are fewer."""
    count = min(count, len(ids))
    return [ids[i * len(ids) // count] for i in range(count)]

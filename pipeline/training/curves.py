"""The curves of a training as a table: a row for each epoch, and which epoch was kept."""

import csv
import logging
from collections.abc import Sequence
from pathlib import Path

from pipeline.jobs.storage import replaced
from pipeline.training.loop import Trained

log = logging.getLogger(__name__)


def write_curves(path: Path, trained: Trained, stage: str, columns: Sequence[str], chosen: str, form: str) -> None:
    """Write a CSV row for each epoch; what was not measured in an epoch is empty.

    Args:
        path: Where the table goes.
        trained: The epochs, and which of them was kept.
        stage: Name of the training, for the log.
        columns: Names of what was measured.
        chosen: The column that chose the epoch whose weights were kept, which its row says in `kept_by`; empty if there
            was no epoch.
        form: How numbers with a point are written, such as `.6f`.
    """
    if chosen:
        log.info("%s: kept the weights of epoch %d, chosen by %s", stage, trained.kept_epoch, chosen)
    with replaced(path) as new, new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, (*columns, "kept_by"), lineterminator="\n")
        writer.writeheader()
        for number, record in enumerate(trained.records, start=1):
            row = {name: format(value, form) if isinstance(value, float) else value for name, value in record.items()}
            writer.writerow(row | {"kept_by": chosen if number == trained.kept_epoch else ""})

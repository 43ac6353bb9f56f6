"""Captions as a table (CSV), which lies beside every file of captions."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.jobs.storage import replaced
from pipeline.scoring.tables import csv_text, inert

COLUMNS = ("video_id", "caption")


def write_table(path: Path, captions: Mapping[str, str]) -> None:
    """Write captions as a table, one video a row; what a spreadsheet would take for a formula is made inert.

    Args:
        path: Where the table goes (CSV): `video_id` and `caption`.
        captions: The captions by the id of their video.
    """
    rows = [(inert(video_id), inert(caption)) for video_id, caption in captions.items()]
    with replaced(path) as new:
        new.write_text(csv_text(COLUMNS, rows), encoding="utf-8", newline="")


def is_table(path: Path) -> bool:
    """Whether a file begins as such a table does; what cannot be read does not."""
    try:
        with path.open("rb") as file:
            return file.readline(100) == csv_text(COLUMNS, []).encode()
    except OSError:
        return False

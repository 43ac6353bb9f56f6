"""Tables of scores as CSV."""

import csv
import io
import re
from collections.abc import Iterable, Sequence


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as CSV text, with a line of names above the rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def inert(text: str) -> str:
    """Put an apostrophe before a text that begins like a formula, so that no spreadsheet takes the cell for one.

    Ids such as MSVD's, of letters, digits, underscores, hyphens and dots, stay as they are: they can call nothing.
    """
    begins_like_a_formula = text[:1] in ("=", "+", "-", "@")
    return f"'{text}" if begins_like_a_formula and not re.fullmatch(r"[\w.-]*", text) else text

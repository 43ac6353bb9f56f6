"""Journals: a line for each piece of work that is finished, so that a killed job goes on after the last whole line.

Each line carries its checksum. By it a line that a kill or a full disk cut off, or in which the disk has flipped a bit,
is told from one that is whole.
"""

import json
from typing import Any

import google_crc32c

Entry = dict[str, Any]


def to_line(entry: Entry) -> bytes:
    """An entry as a line of JSON with its checksum."""
    return _dump(entry | {"checksum": checksum(_dump(entry))}) + b"\n"


def read_lines(lines: bytes) -> tuple[list[Entry], list[int], bool]:
    """Read the entries up to the first damaged line.

    Returns:
        The entries; where the line of each ends, in bytes from the beginning; and whether a damaged line follows. A
        last line without a line end is not damage: it was being written when the job was killed.
    """
    entries: list[Entry] = []
    ends: list[int] = []
    start = 0
    while (end := lines.find(b"\n", start)) >= 0:
        entry = _parse(lines[start:end])
        if entry is None:
            return entries, ends, True
        entries.append(entry)
        start = end + 1
        ends.append(start)
    return entries, ends, False


def checksum(content: bytes) -> int:
    """CRC-32C of some bytes, the kind of checksum that Zarr's chunks have."""
    return int(google_crc32c.value(content))


def _parse(line: bytes) -> Entry | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    stored = entry.pop("checksum", None)
    return entry if stored == checksum(_dump(entry)) else None


def _dump(entry: Entry) -> bytes:
    return json.dumps(entry, sort_keys=True).encode()

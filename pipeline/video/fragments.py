"""Tell whether the frames of an MP4 or MOV file come in fragments, of which its header counts the first at most."""

from pathlib import Path

LONG = 1  # in the place of a box's length: the length follows in eight bytes
SHORTEST = 8  # bytes of a box: its length and its name


def has_fragments(path: Path) -> bool:
    """Whether a box `moof` (ISO/IEC 14496-12, 8.8.4) is among the boxes that the file is made of."""
    size = path.stat().st_size
    with path.open("rb") as file:
        place = 0
        while place + SHORTEST <= size:
            file.seek(place)
            head = file.read(16)
            if head[4:8] == b"moof":
                return True
            length = int.from_bytes(head[:4], "big")
            if length == LONG:
                length = int.from_bytes(head[8:16], "big")
            if length < SHORTEST:  # 0: up to the end of the file
                return False
            place += length
    return False

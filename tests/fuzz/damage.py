"""Ways to damage or alter a file, each a function from its bytes and a generator of chance to other bytes.

Storage, networks and cards flip, drop, repeat and swap bytes; recorders stop half way and join what they have; editors
write fields that others do not expect.
"""

import random
import re
import struct
from collections.abc import Callable, Mapping

Damage = Callable[[bytes, random.Random], bytes]
EXTREMES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
BOX = re.compile(rb"ftyp|moov|mvhd|trak|tkhd|edts|elst|mdia|mdhd|hdlr|minf|stbl|stsd|stts|ctts|stss|stsc|stsz|stco|"
                 rb"avcC|hvcC|moof|traf|tfhd|trun|mdat|RIFF|hdrl|avih|strl|strh|strf|movi|idx1")  # fmt: skip
PACKET = 188  # bytes of a transport stream's packet


def _part(content: bytes, chance: random.Random, most: float = 0.2) -> tuple[int, int]:
    """Two ends of a part of the content."""
    start = chance.randrange(len(content) + 1)
    return start, min(len(content), start + chance.randrange(1, max(2, int(len(content) * most))))


def flip_few(content: bytes, chance: random.Random) -> bytes:
    """Flip one to eight bits."""
    flipped = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def flip_many(content: bytes, chance: random.Random) -> bytes:
    """Write random bytes at one of a hundred to a thousand places."""
    flipped = bytearray(content)
    for _ in range(max(1, len(flipped) // chance.choice([100, 300, 1000]))):
        flipped[chance.randrange(len(flipped))] = chance.randrange(256)
    return bytes(flipped)


def flip_header(content: bytes, chance: random.Random) -> bytes:
    """Write random bytes at the head, or at the tail, where other containers have their index."""
    head = min(len(content), chance.choice([32, 200, 1000]))
    altered = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(head)
        altered[place if chance.random() < 0.7 else -1 - place] = chance.randrange(256)
    return bytes(altered)


def cut(content: bytes, chance: random.Random) -> bytes:
    """Cut off the end."""
    return content[: chance.randrange(len(content))]


def behead(content: bytes, chance: random.Random) -> bytes:
    """Cut off the beginning."""
    return content[_part(content, chance)[1] if chance.random() < 0.5 else chance.randrange(len(content)) :]


def drop(content: bytes, chance: random.Random) -> bytes:
    """Leave out a part."""
    start, end = _part(content, chance)
    return content[:start] + content[end:]


def blank(content: bytes, chance: random.Random) -> bytes:
    """A run of zeros, of ones, or of noise in the place of a part."""
    start, end = _part(content, chance)
    length = end - start
    fill = chance.choice([bytes(length), b"\xff" * length, chance.randbytes(length)])
    return content[:start] + fill + content[end:]


def insert(content: bytes, chance: random.Random) -> bytes:
    """Put noise, or zeros, between two bytes; at the beginning often."""
    start = 0 if chance.random() < 0.3 else chance.randrange(len(content) + 1)
    length = chance.choice([1, 7, 188, 3000])
    return content[:start] + (chance.randbytes(length) if chance.random() < 0.5 else bytes(length)) + content[start:]


def repeat(content: bytes, chance: random.Random) -> bytes:
    """Write a part twice or many times."""
    start, end = _part(content, chance)
    return content[:end] + content[start:end] * chance.choice([1, 1, 2, 20]) + content[end:]


def swap(content: bytes, chance: random.Random) -> bytes:
    """Exchange two neighbouring parts."""
    ends = sorted(chance.randrange(len(content) + 1) for _ in range(3))
    first, second, third = ends
    return content[:first] + content[second:third] + content[first:second] + content[third:]


def write_number(content: bytes, chance: random.Random) -> bytes:
    """Write an extreme number of two, four or eight bytes anywhere."""
    layout, size = chance.choice([(">H", 2), (">I", 4), ("<I", 4), (">Q", 8)])
    number = chance.choice(EXTREMES) % (1 << 8 * size)
    if len(content) < size:
        return content
    altered = bytearray(content)
    struct.pack_into(layout, altered, chance.randrange(len(altered) - size + 1), number)
    return bytes(altered)


def write_field(content: bytes, chance: random.Random) -> bytes:
    """Write a number into a box of MP4 or AVI: one of its fields, or its size."""
    boxes = [found.start() for found in BOX.finditer(content)]
    if not boxes:
        return write_number(content, chance)
    place = chance.choice(boxes) + chance.choice([-4, 4, 8, 8, 12, 12, 16, 20, 24, 28, 40, 60])
    if not 0 <= place <= len(content) - 4:
        return flip_few(content, chance)
    altered = bytearray(content)
    number = chance.choice([*EXTREMES, chance.randrange(100), chance.randrange(100_000)])
    struct.pack_into(">I" if chance.random() < 0.8 else "<I", altered, place, number)
    return bytes(altered)


def drop_box(content: bytes, chance: random.Random) -> bytes:
    """Give a box of MP4 or AVI a name that nobody knows, so that it is passed over."""
    boxes = [found.start() for found in BOX.finditer(content)]
    if not boxes:
        return drop(content, chance)
    place = chance.choice(boxes)
    return content[:place] + b"free" + content[place + 4 :]


def shuffle_packets(content: bytes, chance: random.Random) -> bytes:
    """Drop, repeat and exchange packets of 188 bytes, as broadcasts lose them."""
    packets = [content[start : start + PACKET] for start in range(0, len(content), PACKET)]
    for _ in range(chance.randint(1, 6)):
        place, other = (chance.randrange(len(packets)) for _ in range(2))
        packets[place] = chance.choice([b"", packets[other], packets[place] * 2, bytes(PACKET)])
    return b"".join(packets)


DAMAGES: tuple[Damage, ...] = (
    flip_few, flip_few, flip_many, flip_header, cut, cut, behead, drop, blank, blank, insert, repeat, swap,
    write_number, write_field, write_field, write_field, drop_box, shuffle_packets,
)  # fmt: skip


def damaged(bases: Mapping[str, bytes], seed: str) -> tuple[str, str, bytes]:
    """A file that chance made of one of the sound ones, or of two that it joined.

    Args:
        bases: Content of the sound files by name.
        seed: What chance is drawn from.

    Returns:
        The name of the sound file, what was done to it, and the content.
    """
    chance = random.Random(seed)
    name = chance.choice(sorted(bases))
    content, done = bases[name], []
    if chance.random() < 0.12:
        kin = [other for other in sorted(bases) if other.endswith(name[-3:])] if chance.random() < 0.7 else list(bases)
        other = chance.choice(kin)
        content, done = content + bases[other], [f"joined with {other}"]
    if not done or chance.random() < 0.4:
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            damage = chance.choice(DAMAGES)
            content = damage(content, chance) or b"\0"
            done.append(damage.__name__)
    return name, ", ".join(done), content

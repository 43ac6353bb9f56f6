"""Video files of every kind that a folder of downloads holds, good and bad, made with PyAV and by damaging files.

Every frame shows its number: a bright bar stands four pixels further right than in the frame before, on a ground whose
colours differ from corner to corner. A frame that is not the right one, or is turned, is so far off in the mean.
"""

import os
import random
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from toys.sound_file import write_sound

SIZE_HW = (48, 80)
MILLISECOND = Fraction(1, 1000)
STEADY = {"threads": "1"}  # the bytes that encoders with more threads write may differ from run to run
SAME_BYTES = {"fflags": "+bitexact"}  # Matroska would draw random identifiers
X264 = {**STEADY, "preset": "ultrafast"}
X265 = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"}
B_FRAMES = {**STEADY, "preset": "veryfast", "x264-params": "bframes=3:keyint=12:scenecut=0"}
HOURS_3 = 3 * 3600

Maker = Callable[[Path], None]


def picture(number: int, size_hw: tuple[int, int] = SIZE_HW) -> NDArray[np.uint8]:
    """Frame `number`: RGB [H, W, 3]."""
    height, width = size_hw
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(30, 150, width)
    image[..., 1] = np.linspace(150, 30, height)[:, None]
    image[..., 2] = 60
    left = number * 4 % (width - 8)
    image[:, left : left + 8] = 230
    return image


@contextmanager
def scheduled_as_before() -> Iterator[None]:
    """Undo what SVT-AV1 does as root: it gives its caller real-time priority, and every later child with it."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def write(
    path: Path,
    numbers: Iterable[int],
    codec: str = "libx264",
    *,
    pix_fmt: str = "yuv420p",
    size_hw: tuple[int, int] = SIZE_HW,
    rate: Fraction | int = 10,
    times_ms: Sequence[int] | None = None,
    codec_options: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
) -> None:
    """Write the frames of these numbers; `times_ms` makes the frame rate vary."""
    with scheduled_as_before(), av.open(str(path), "w", options={**SAME_BYTES, **(options or {})}) as container:
        stream = container.add_stream(codec, rate=rate, options=codec_options or (X264 if codec == "libx264" else {}))
        stream.height, stream.width = size_hw
        stream.pix_fmt = pix_fmt
        if times_ms is not None:
            stream.codec_context.time_base = MILLISECOND
        for place, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(picture(number, size_hw)).reformat(format=pix_fmt)
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[place], MILLISECOND
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def made(num_frames: int, codec: str = "libx264", **how: Any) -> Maker:
    return lambda path: write(path, range(num_frames), codec, **how)


def damaged(make: Maker, damage: Callable[[bytes], bytes]) -> Maker:
    """The file that `make` writes, with its bytes changed by `damage`."""

    def make_damaged(path: Path) -> None:
        make(path)
        path.write_bytes(damage(path.read_bytes()))

    return make_damaged


def cut(share: float, behind: bytes = b"") -> Callable[[bytes], bytes]:
    """Cut off what comes after a share of the bytes; the share counts from where `behind` is first found."""

    def keep(content: bytes) -> bytes:
        start = content.index(behind)
        return content[: start + int((len(content) - start) * share)]

    return keep


def flipped(seed: int, num_bits: int = 12, behind: bytes = b"mdat") -> Callable[[bytes], bytes]:
    """Flip single bits at random places behind a mark."""

    def flip(content: bytes) -> bytes:
        generator, start, flipped = random.Random(seed), content.index(behind) + 64, bytearray(content)
        for _ in range(num_bits):
            flipped[generator.randrange(start, len(content))] ^= 1 << generator.randrange(8)
        return bytes(flipped)

    return flip


def zeroed(behind: bytes, share: float = 0.2) -> Callable[[bytes], bytes]:
    """A hole of zeros in the middle of what comes after a mark, as downloads in parts leave it."""

    def punch(content: bytes) -> bytes:
        start = content.index(behind) + len(behind)
        hole = int((len(content) - start) * share)
        first = start + (len(content) - start) // 2
        return content[:first] + bytes(hole) + content[first + hole :]

    return punch


def patched(mark: bytes, offset: int, layout: str, *values: int) -> Callable[[bytes], bytes]:
    """Write numbers at some bytes from the start of the first `mark`."""

    def patch(content: bytes) -> bytes:
        patched = bytearray(content)
        struct.pack_into(layout, patched, content.index(mark) + offset, *values)
        return bytes(patched)

    return patch


def turned(quarter_turns: int) -> Callable[[bytes], bytes]:
    """Let the file say that its frames are to be shown turned clockwise: the matrix in MP4's track header."""
    height, width = SIZE_HW
    cosine, sine = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarter_turns]
    across, down = [(0, 0), (height, 0), (width, height), (0, width)][quarter_turns]
    one = 1 << 16
    matrix = (cosine * one, sine * one, 0, -sine * one, cosine * one, 0, across * one, down * one, 1 << 30)
    # name, version and flags, times and track, layer and volume
    return patched(b"tkhd", 4 + 4 + 20 + 16, ">9i", *matrix)


def shown_by(a: float, b: float, c: float, d: float) -> Callable[[bytes], bytes]:
    """Let the file say how its frames are mirrored and turned: the four numbers of that matrix that do so."""
    matrix = (round(a * 65536), round(b * 65536), 0, round(c * 65536), round(d * 65536), 0, 0, 0, 1 << 30)
    return patched(b"tkhd", 4 + 4 + 20 + 16, ">9i", *matrix)


def write_joined(path: Path) -> None:
    """Two parts of a recording, one behind the other, each with a clock of its own."""
    parts = [path.with_name(f"{path.stem}.{number}{path.suffix}") for number in range(2)]
    write(parts[0], range(20), codec_options=B_FRAMES)
    write(parts[1], range(20, 40), codec_options=B_FRAMES)
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    for part in parts:
        part.unlink()


def write_changing_size(path: Path) -> None:
    """Two transport streams of different sizes, one behind the other, as broadcasts are."""
    parts = [path.with_name(f"{path.stem}.{number}.ts") for number in range(2)]
    for part, size_hw in zip(parts, [SIZE_HW, (64, 96)], strict=True):
        write(part, range(15), size_hw=size_hw)
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    for part in parts:
        part.unlink()


def write_late_sound(path: Path) -> None:
    """A transport stream in which sound begins in the middle."""
    silent, loud = (path.with_name(f"{path.stem}.{number}.ts") for number in range(2))
    write(silent, range(15))
    with av.open(str(loud), "w") as container:
        picture_stream, sound = container.add_stream("libx264", rate=10, options=X264), container.add_stream("mp2")
        picture_stream.height, picture_stream.width, picture_stream.pix_fmt = *SIZE_HW, "yuv420p"
        sound.rate = 44100
        for number in range(15, 30):
            container.mux(picture_stream.encode(av.VideoFrame.from_ndarray(picture(number))))
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 4410), np.int16), format="s16", layout="mono")
            frame.rate = 44100
            container.mux(sound.encode(frame))
        for stream in (picture_stream, sound):
            container.mux(stream.encode(None))
    path.write_bytes(silent.read_bytes() + loud.read_bytes())
    silent.unlink()
    loud.unlink()


def write_large(path: Path, num_frames: int, size_hw: tuple[int, int]) -> None:
    """Large frames out of the small picture, as fast as can be."""
    height, width = size_hw
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options=X264)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for number in range(num_frames):
            small = av.VideoFrame.from_ndarray(picture(number))
            container.mux(stream.encode(small.reformat(width, height, "yuv420p", interpolation="POINT")))
        container.mux(stream.encode(None))


def write_still(path: Path, num_frames: int = HOURS_3) -> None:
    """One picture a second, always the same but for the last: with one key frame, so that no seek is a short cut."""
    with av.open(str(path), "w") as container:
        still, last = (av.VideoFrame.from_ndarray(picture(n)).reformat(format="yuv420p") for n in (0, 9))
        stream = container.add_stream("libx264", rate=1, options=X264 | {"g": str(num_frames), "sc_threshold": "0"})
        stream.height, stream.width, stream.pix_fmt = *SIZE_HW, "yuv420p"
        for number in range(num_frames):
            frame = still if number < num_frames - 1 else last
            frame.pts, frame.time_base = number, Fraction(1)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def later_edit(content: bytes) -> bytes:
    """Let MP4's edit list begin 0.7 s into the track, as a phone does that trims without encoding again."""
    time_scale = struct.unpack_from(">I", content, content.index(b"mdhd") + 4 + 4 + 8)[0]
    return patched(b"elst", 4 + 4 + 4 + 4, ">i", time_scale * 7 // 10)(content)


INTERLACED = {**STEADY, "preset": "ultrafast", "flags": "+ildct+ilme", "x264-params": "tff=1"}
FASTSTART = {"movflags": "faststart"}

REFRESHED = {**STEADY, "x264-params": "intra-refresh=1:keyint=12:scenecut=0:bframes=0"}
X265_KEYS = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:keyint=12:min-keyint=12:bframes=0"}

GOOD: dict[str, Maker] = {
    "8k.mp4": lambda path: write_large(path, 12, (4320, 7680)),  # 50 MB a frame as decoded, 100 MB in RGB
    "all_keys.mp4": damaged(
        made(40, "libx265", codec_options=X265_KEYS), lambda content: content.replace(b"stss", b"free")
    ),
    "av1.mp4": made(30, "libsvtav1", codec_options={"preset": "12", "svtav1-params": "lp=1"}),
    "b_frames.mp4": made(40, codec_options=B_FRAMES),
    "b_frames.avi": made(40, codec_options=B_FRAMES),
    "b_frames_mpeg4.avi": made(40, "mpeg4", codec_options={**STEADY, "bf": "2"}),
    "b_frames.mkv": made(40, codec_options=B_FRAMES),
    "fifteen_frames.mp4": made(15),
    "flv.flv": made(30, "flv", codec_options=STEADY),
    "full_hd.mp4": lambda path: write_large(path, 160, (1080, 1920)),  # 1 GB in RGB, and all in some window
    "gif.gif": made(30, "gif", pix_fmt="rgb8"),
    "grey.mp4": made(30, pix_fmt="gray"),
    "grey.mov": made(30, "rawvideo", pix_fmt="gray"),
    "hevc.mp4": made(30, "libx265", codec_options=X265),
    "h264_10_bit.mp4": made(30, pix_fmt="yuv420p10le"),
    "h264_444.mp4": made(30, pix_fmt="yuv444p"),
    "hevc_10_bit.mp4": made(30, "libx265", pix_fmt="yuv420p10le", codec_options=X265),
    "interlaced.mp4": made(30, codec_options=INTERLACED),
    "interlaced.mpg": made(30, "mpeg2video", rate=25, codec_options={**STEADY, "flags": "+ildct+ilme"}),
    "mirrored.mp4": damaged(made(30), shown_by(-1, 0, 0, 1)),
    "mirrored_and_turned.mp4": damaged(made(30), shown_by(0, -1, -1, 0)),
    "mjpeg.avi": made(30, "mjpeg", pix_fmt="yuvj420p", codec_options=STEADY),
    "mpeg4_part_2.mp4": made(30, "mpeg4", codec_options=STEADY),
    "odd_size_444.mp4": made(30, pix_fmt="yuv444p", size_hw=(49, 65)),
    "odd_size.webm": made(30, "libvpx-vp9", size_hw=(49, 65), codec_options=STEADY),
    "one_frame.mp4": made(1),
    "prores_422_10_bit.mov": made(30, "prores_ks", pix_fmt="yuv422p10le", codec_options=STEADY),
    "refreshed.mp4": made(40, codec_options=REFRESHED),
    "rotated_90.mp4": damaged(made(30), turned(1)),
    "rotated_180.mp4": damaged(made(30), turned(2)),
    "rotated_270.mp4": damaged(made(30), turned(3)),
    "still_of_3_hours.mp4": write_still,
    "tilted.mp4": damaged(made(30), shown_by(0.9998, -0.0175, 0.0175, 0.9998)),
    "transport_stream.ts": made(30, codec_options=B_FRAMES),
    "trimmed_by_edit_list.mp4": damaged(made(40, codec_options=B_FRAMES), later_edit),
    "two_frames.mp4": made(2),
    "variable_rate.mkv": made(6, times_ms=[0, 40, 80, 480, 520, 2000]),
    "variable_rate.mp4": made(6, times_ms=[0, 40, 80, 480, 520, 2000]),
    "vp8.webm": made(30, "libvpx", codec_options=STEADY),
    "vp9.webm": made(30, "libvpx-vp9", codec_options=STEADY),
    "wmv.wmv": made(30, "wmv2", codec_options=STEADY),
}

BAD: dict[str, Maker] = {
    "audio_only.mp4": write_sound,
    "begins_late.ts": damaged(made(60, codec_options=B_FRAMES), lambda content: content[188 * 11 :]),
    "bit_flips_1.mp4": damaged(made(60, options=FASTSTART), flipped(1, 3)),
    "bit_flips_2.mp4": damaged(made(60, options=FASTSTART), flipped(2, 3)),
    "bit_flips_3.mp4": damaged(made(60, options=FASTSTART), flipped(3, 3)),
    "bit_flips_index.mp4": damaged(made(40), flipped(1, behind=b"moov")),
    "bit_flips_b_frames.mp4": damaged(made(40, codec_options=B_FRAMES, options=FASTSTART), flipped(4, 3)),
    "bit_flips_hevc.mp4": damaged(made(40, "libx265", codec_options=X265, options=FASTSTART), flipped(5, 3)),
    "bit_flips_mpeg4.avi": damaged(made(40, "mpeg4", codec_options=STEADY), flipped(6, behind=b"movi")),
    "bit_flips_mjpeg.avi": damaged(
        made(40, "mjpeg", pix_fmt="yuvj420p", codec_options=STEADY), flipped(7, behind=b"movi")
    ),
    "bit_flips_vp9.webm": damaged(made(40, "libvpx-vp9", codec_options=STEADY), flipped(8, behind=b"\x1fC\xb6u")),
    "bit_flips.ts": damaged(made(40), flipped(9, behind=b"G")),
    "cut_off.avi": damaged(made(40, "mpeg4", codec_options=STEADY), cut(0.5)),
    "cut_off.gif": damaged(made(30, "gif", pix_fmt="rgb8"), cut(0.5)),
    "cut_off.mkv": damaged(made(40), cut(0.5)),
    "cut_off.ts": damaged(made(40), cut(0.5)),
    "cut_off_with_index.mp4": damaged(made(60, options=FASTSTART), cut(0.5, behind=b"mdat")),
    "cut_off_without_index.mp4": damaged(made(60), cut(0.5)),
    "empty.mp4": lambda path: path.write_bytes(b""),
    "header_only.mp4": lambda path: path.write_bytes(bytes.fromhex("0000001c667479706d703432000000006d70343269736f6d")),
    "hole_of_zeros.mp4": damaged(made(60, options=FASTSTART), zeroed(b"mdat")),
    "joined.ts": write_joined,
    "picture_bomb.gif": damaged(made(1, "gif", pix_fmt="rgb8"), patched(b"GIF8", 6, "<HH", 20_000, 20_000)),
    "random_bytes.mp4": lambda path: path.write_bytes(random.Random(0).randbytes(20_000)),
    "size_changes.ts": write_changing_size,
    "sound_begins_late.ts": write_late_sound,
    "text.mp4": lambda path: path.write_text("not a video at all\n" * 50),
    # A frame's header: mark, sizes, version, writer, height and width, flags, primaries and transfer, then the matrix.
    "unknown_colours.mov": damaged(
        made(30, "prores_ks", pix_fmt="yuv422p10le", codec_options=STEADY), patched(b"icpf", 20, ">B", 200)
    ),
    # The tables of sizes and of durations: name, version and flags, one size for all, count; and the first count.
    "too_few_in_index.mp4": damaged(made(30), patched(b"stsz", 4 + 4 + 4, ">I", 20)),
    "too_many_in_header.mp4": damaged(made(30), patched(b"stts", 4 + 4 + 4, ">I", 300)),
    # of the stream header: name, size, kinds, flags, priority, start, scale and rate, start, then the length in frames
    "too_many_in_header.avi": damaged(
        made(30, "mpeg4", codec_options=STEADY), patched(b"strh", 8 + 8 + 4 + 4 + 4 + 8 + 4, "<I", 300)
    ),
    "too_many_in_total.avi": damaged(made(30, "mpeg4", codec_options=STEADY), patched(b"avih", 8 + 4 * 4, "<I", 3000)),
}

"""Files as phones, editors, cameras, recorders and downloaders write them, each made by a function of its name.

What is wrong in one is wrong in many: each fault comes in several codecs and containers.
"""

import math
import struct
from collections.abc import Callable
from pathlib import Path

from drawing import encode, ffmpeg

Maker = Callable[[Path], None]

X264 = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-threads", "1")
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-x265-params")
X265_QUIET = "log-level=none:pools=1:scenecut=0:keyint=24:min-keyint=24"
REORDERED = (*X264, "-bf", "2", "-g", "12")
VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0")
AV1 = ("-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-lag-in-frames", "0")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "3", "-bf", "2", "-g", "12", "-r", "25")
CIF = ("-vf", "scale=176:144:flags=neighbor")
EVERY_24 = ("-g", "24", "-bf", "0")
PALETTE = "split[a][b];[a]palettegen=max_colors=64[p];[b][p]paletteuse=dither=none"
PALETTES = PALETTE.replace("max_colors=64", "max_colors=64:stats_mode=single").replace("none", "none:new=1")


def made(*options: str, numbers: range = range(80), rate: int = 10) -> Maker:
    return lambda path: encode(path, numbers, *options, rate=rate)


def changed(make: Maker, change: Callable[[bytearray], None]) -> Maker:
    """The file that `make` writes, with its bytes changed in place."""

    def make_changed(path: Path) -> None:
        make(path)
        content = bytearray(path.read_bytes())
        change(content)
        path.write_bytes(content)

    return make_changed


def remuxed(make: Maker, ending: str, *options: str) -> Maker:
    """What ffmpeg copies out of the file that `make` writes."""

    def make_remuxed(path: Path) -> None:
        source = path.with_name(f"{path.stem}.source.{ending}")
        make(source)
        ffmpeg("-i", source, "-c", "copy", *options, path)
        source.unlink()

    return make_remuxed


def with_cover(make: Maker, disposition: str) -> Maker:
    """A red picture as the second stream of the file that `make` writes."""

    def make_with_cover(path: Path) -> None:
        source = path.with_name(f"{path.stem}.source.mp4")
        make(source)
        cover = ("-f", "lavfi", "-i", "color=red:s=640x480:d=0.04:r=25", "-map", "0", "-map", "1", "-c:v:0", "copy")
        picture = ("-c:v:1", "mjpeg", "-pix_fmt:v:1", "yuvj420p", "-disposition:v:1", disposition)
        ffmpeg("-i", source, *cover, *picture, path)
        source.unlink()

    return make_with_cover


def joined(*parts: Maker) -> Maker:
    """The files that `parts` write, one behind the other."""

    def make_joined(path: Path) -> None:
        content = b""
        for number, make in enumerate(parts):
            part = path.with_name(f"{path.stem}.{number}{path.suffix}")
            make(part)
            content += part.read_bytes()
            part.unlink()
        path.write_bytes(content)

    return make_joined


def shown_by(matrix: tuple[float, float, float, float]) -> Callable[[bytearray], None]:
    a, b, c, d = (round(number * 65536) for number in matrix)

    def write(content: bytearray) -> None:
        # name, version and flags, times and track, layer and volume
        struct.pack_into(">9i", content, content.index(b"tkhd") + 4 + 4 + 20 + 16, a, b, 0, c, d, 0, 0, 0, 1 << 30)

    return write


def tilted(matrix: tuple[int, int, int, int], degrees: float) -> tuple[float, float, float, float]:
    a, b, c, d = matrix
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return a * cosine - b * sine, a * sine + b * cosine, c * cosine - d * sine, c * sine + d * cosine


def no_key_table(content: bytearray) -> None:
    """A file of the MP4 family without a table of key frames says that every frame is one."""
    assert content.count(b"stss") == 1
    content[:] = content.replace(b"stss", b"free")


def all_keys_in_avi(content: bytearray) -> None:
    start = content.index(b"idx1") + 8
    for entry in range(start, start + struct.unpack_from("<I", content, start - 4)[0], 16):
        struct.pack_into("<I", content, entry + 4, 0x10)


def all_keys_in_flv(content: bytearray) -> None:
    """The upper half of a video tag's first byte: 1 is a key frame, 2 is none."""
    place = 13
    while place + 11 < len(content):
        length = int.from_bytes(content[place + 1 : place + 4], "big")
        if content[place] == 9 and content[place + 11] >> 4 == 2:
            content[place + 11] = 0x10 | content[place + 11] & 0x0F
        place += 11 + length + 4


def keys_in_matroska(is_key: bool) -> Callable[[bytearray], None]:
    """Mark every block of a file with one track as a key frame, or none: the highest bit of its flags."""

    def mark(content: bytearray) -> None:
        place = found = 0
        while 0 <= (place := content.find(b"\xa3", place)) < len(content) - 16:
            size_bytes = 9 - content[place + 1].bit_length()
            body = place + 1 + size_bytes
            size = int.from_bytes(content[place + 1 : body], "big") & (1 << 7 * size_bytes) - 1
            if size_bytes <= 4 < size and content[body] == 0x81 and content[body + 3] & 0x7F == 0:
                content[body + 3] = 0x80 * is_key
                found, place = found + 1, body + size
            else:
                place += 1
        assert found > 70, found

    return mark


def edited(*parts: tuple[int, int]) -> Callable[[bytearray], None]:
    """Put an edit list in the place of the one there is: durations and starts (-1: nothing) in milliseconds."""

    def write(content: bytearray) -> None:
        place = content.index(b"elst") - 4
        body = b"".join(struct.pack(">IiI", duration, start, 1 << 16) for duration, start in parts)
        edits = struct.pack(">I4sII", 16 + len(body), b"elst", 0, len(parts)) + body
        old = struct.unpack_from(">I", content, place)[0]
        assert content.index(b"mdat") < place, "what comes behind the index would move"
        for box in (b"edts", b"trak", b"moov"):
            start = content.index(box) - 4
            struct.pack_into(">I", content, start, struct.unpack_from(">I", content, start)[0] + len(edits) - old)
        content[place : place + old] = edits

    return write


ORIENTATIONS = {
    "as stored": (1, 0, 0, 1),
    "turned 90": (0, 1, -1, 0),
    "turned 180": (-1, 0, 0, -1),
    "turned 270": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "upside down": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "transversed": (0, -1, -1, 0),
}


def oriented(ending: str, matrix: tuple[float, float, float, float]) -> Maker:
    more = ("-timecode", "01:00:00:00") if ending == "mov" else ("-g", "12")
    return changed(made(*X264, *more, numbers=range(40)), shown_by(matrix))


def orientations() -> dict[str, Maker]:
    """Mirrors and turns, with a timecode track in MOV."""
    return {
        f"{name}.{ending}": oriented(ending, matrix)
        for name, matrix in ORIENTATIONS.items()
        for ending in ("mp4", "mov")
    }


def false_keys() -> dict[str, Maker]:
    """Frames that are called key frames, and are none."""
    files: dict[str, Maker] = {}
    for ending in ("mp4", "mov", "mkv", "ts", "flv"):
        for every in (15, 30):
            refreshed = f"intra-refresh=1:keyint={every}:scenecut=0:bframes=0"
            files[f"refreshed {every}.{ending}"] = made(*X264, "-x264-params", refreshed)
    x265 = (*X265, f"{X265_QUIET}:bframes=0:open-gop=0")
    families = {
        "h264": (*X264, *EVERY_24), "h264 reordered": (*X264, "-g", "24", "-bf", "2"), "hevc": x265,
        "hevc reordered": (*X265, f"{X265_QUIET}:bframes=2:open-gop=0"), "mpeg4": ("-c:v", "mpeg4", *EVERY_24),
        "vp9": (*VP9, "-g", "24"), "av1": (*AV1, "-g", "24"),
    }  # fmt: skip
    for name, options in families.items():
        files[f"all keys {name}.mp4"] = changed(made(*options), no_key_table)
    files["all keys h263.3gp"] = changed(made(*CIF, "-c:v", "h263", *EVERY_24), no_key_table)
    quicktime = {"h263": (*CIF, "-c:v", "h263", *EVERY_24), "mpeg2": ("-c:v", "mpeg2video", *EVERY_24, "-r", "25"),
                 "svq1": (*CIF, "-c:v", "svq1", "-g", "24"), "hevc": (*x265, "-tag:v", "hvc1"),
                 "mpeg4": ("-c:v", "mpeg4", *EVERY_24), "cinepak": ("-c:v", "cinepak", "-g", "24")}  # fmt: skip
    for name, options in quicktime.items():
        files[f"all keys {name}.mov"] = changed(made(*options), no_key_table)
    for name, options in {"rpza": CIF, "qtrle": (), "smc": ("-vf", PALETTE)}.items():
        files[f"{name}.mov"] = made(*options, "-c:v", name, "-g", "24")
    for name in ("h264", "mpeg4", "msmpeg4v3", "msmpeg4v2", "wmv2", "h263p", "msvideo1", "libvpx", "zmbv", "cinepak"):
        options = X264 if name == "h264" else VP8 if name == "libvpx" else ("-c:v", name)
        files[f"all keys {name}.avi"] = changed(made(*options, *EVERY_24[:2]), all_keys_in_avi)
    for name in ("flv", "h264"):
        options = X264 if name == "h264" else ("-c:v", name)
        files[f"all keys {name}.flv"] = changed(made(*options, *EVERY_24), all_keys_in_flv)
    for name, options in {**families, "vp8": (*VP8, "-g", "24"), "mjpeg": ("-c:v", "mjpeg")}.items():
        if name == "h264 reordered" or name == "hevc reordered":
            continue
        files[f"all keys {name}.mkv"] = changed(made(*options), keys_in_matroska(True))
        files[f"no keys {name}.mkv"] = changed(made(*options), keys_in_matroska(False))
    return files


def colours_that_come_once() -> dict[str, Maker]:
    """Palettes, and grey pictures that are stored with one."""
    files: dict[str, Maker] = {}
    for ending in ("avi", "mov", "nut"):
        files[f"grey.{ending}"] = made("-c:v", "rawvideo", "-pix_fmt", "gray")
        files[f"palette.{ending}"] = made("-vf", PALETTE, "-c:v", "rawvideo", "-pix_fmt", "pal8")
        files[f"black and white.{ending}"] = made("-c:v", "rawvideo", "-pix_fmt", "monow")
        files[f"8 bits of colour.{ending}"] = made("-c:v", "rawvideo", "-pix_fmt", "rgb8")
        moving = ("-vf", f"hue=H=0.05*n,{PALETTES}", "-c:v", "rawvideo", "-pix_fmt", "pal8")
        files[f"palettes.{ending}"] = made(*moving)
    files["grey.mkv"] = made("-c:v", "rawvideo", "-pix_fmt", "gray")
    files["grey runs.mov"] = made("-c:v", "qtrle", "-pix_fmt", "gray")
    files["grey ffv1.avi"] = made("-c:v", "ffv1", "-pix_fmt", "gray")
    files["grey png.mov"] = made("-c:v", "png", "-pix_fmt", "gray")
    files["palette png.mov"] = made("-vf", PALETTE, "-c:v", "png", "-pix_fmt", "pal8")
    files["palette zmbv.avi"] = made("-vf", PALETTE, "-c:v", "zmbv", "-pix_fmt", "pal8")
    files["palette smc.mov"] = made("-vf", PALETTE, "-c:v", "smc")
    files["palette.gif"] = made("-vf", PALETTE)
    return files


def joins() -> dict[str, Maker]:
    """Recordings that were put one behind the other: same times, times between those of the first, and earlier ones."""
    streams = {
        "h264.ts": (REORDERED, 10), "h264.m2ts": ((*REORDERED, "-mpegts_m2ts_mode", "1"), 10),
        "hevc.ts": ((*X265, X265_QUIET), 10), "mpeg2.ts": (MPEG2, 25), "mpeg4.ts": (("-c:v", "mpeg4", "-g", "12"), 25),
        "mpeg2.mpg": (MPEG2, 25), "mpeg2.vob": (MPEG2, 25), "mpeg1.mpg": (("-c:v", "mpeg1video", "-bf", "2"), 25),
        "vp8.webm": (VP8, 10), "vp9.webm": (VP9, 10), "h264.mkv": (REORDERED, 10), "mjpeg.mkv": (("-c:v", "mjpeg"), 10),
    }  # fmt: skip
    files: dict[str, Maker] = {}
    for name, (options, rate) in streams.items():
        first, second = (made(*options, numbers=range(n, n + 40), rate=rate) for n in (0, 40))
        files[f"twice {name}"] = joined(first, second)
        if name.endswith(("ts", "mpg", "vob")):
            for offset in ("0.47", "1.2", "60"):
                late = made(*options, "-output_ts_offset", offset, numbers=range(40, 80), rate=rate)
                files[f"then {offset} s later {name}"] = joined(first, late)
            early = made(*options, "-output_ts_offset", "20", numbers=range(40), rate=rate)
            files[f"earlier {name}"] = joined(early, second)
            third = made(*options, numbers=range(80, 120), rate=rate)
            files[f"three times {name}"] = joined(first, second, third)
    return files


def others() -> dict[str, Maker]:
    """What is right already, and must stay so: fragments, cuts, edit lists, live files, sizes that change, covers."""
    h264 = made(*REORDERED)
    plain = made(*X264, "-bf", "0", "-g", "10", "-video_track_timescale", "1000")
    open_groups = "open-gop=1:bframes=3:b-adapt=0:keyint=15:min-keyint=15:scenecut=0"
    files: dict[str, Maker] = {
        "fragments.mp4": made(*REORDERED, "-movflags", "frag_keyframe+empty_moov+default_base_moof"),
        "fragments behind a header.mp4": made(*REORDERED, "-movflags", "frag_keyframe"),
        "fragments.mov": made(*REORDERED, "-movflags", "frag_every_frame"),
        "dash.mp4": made(*REORDERED, "-movflags", "dash+frag_every_frame+empty_moov"),
        "delayed.mp4": made(*REORDERED, "-movflags", "frag_keyframe+delay_moov"),
        "live.webm": made(*VP8, "-g", "10", "-live", "1"),
        "live.mkv": made(*REORDERED, "-live", "1"),
        "open groups.mkv": made(*X264, "-x264-params", open_groups),
        "open groups.mp4": made(*X264, "-x264-params", open_groups),
        "open groups hevc.mp4": made(*X265, f"{X265_QUIET.replace('24', '15')}:open-gop=1:bframes=3"),
        "late.mp4": made(*REORDERED, "-vf", "setpts=PTS+3/TB", "-vsync", "passthrough"),
        "wrapped.ts": made(*REORDERED, "-output_ts_offset", "95440"),
        "interlaced.mp4": made(*X264, "-bf", "0", "-flags", "+ildct+ilme", "-x264-params", "tff=1"),
        "anamorphic.mp4": made(*X264, "-vf", "setsar=2/1"),
        "wide colours.mp4": made(*X264, "-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_range", "tv"),
        "rgb.mp4": made("-c:v", "libx264rgb", "-preset", "veryfast", "-crf", "10"),
        "alpha.webm": made("-vf", "format=yuva420p", *VP9[:6], "-auto-alt-ref", "0"),
        "alpha.mov": made("-vf", "format=argb", "-c:v", "qtrle"),
        "16 bits.mkv": made("-c:v", "ffv1", "-pix_fmt", "gbrp16le"),
        "huffyuv.avi": made("-c:v", "huffyuv"),
        "theora.ogv": made("-c:v", "libtheora", "-g", "12"),
        "real.rm": made(*CIF, "-c:v", "rv10", "-g", "12"),
        "windows.wmv": made("-c:v", "wmv2", "-g", "12"),
        "dv.avi": made("-vf", "scale=720:576", "-c:v", "dvvideo", "-pix_fmt", "yuv420p", rate=25),
        "swapped.mp4": changed(plain, edited((2000, 5000), (2000, 1000))),
        "shown twice.mp4": changed(plain, edited((2000, 1000), (2000, 1000))),
        "with a gap.mp4": changed(plain, edited((1000, 0), (500, -1), (2000, 3000))),
        "two cuts.mp4": changed(plain, edited((1000, 550), (2000, 4050))),
    }
    for ending in ("mp4", "mkv", "ts"):
        files[f"cut.{ending}"] = remuxed(h264, "mp4", "-ss", "1.55")
        files[f"cut with what was before.{ending}"] = remuxed(h264, "mp4", "-ss", "1.55", "-copyinkf")
    for disposition in ("attached_pic", "default", "0"):
        files[f"cover called {disposition}.mp4"] = with_cover(h264, disposition)
    return files


FILES = {**orientations(), **false_keys(), **colours_that_come_once(), **joins(), **others()}
# Turns off by some degrees, with the exact ones that they stand for: ffmpeg's tool turns by odd angles.
TILTED = {
    f"{name} {degrees:+}.mp4": (oriented("mp4", tilted(matrix, degrees)), FILES[f"{name}.mp4"])
    for name, matrix in ORIENTATIONS.items()
    for degrees in (1, -1, 20)
}

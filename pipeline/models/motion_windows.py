"""The windows of frames whose motion is described: those that the sampled frames of a clip lie in.

Shapes: F sampled frames, B windows of a video, C features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact import Artifact
from pipeline.artifact.each_video import Rows
from pipeline.artifact.video_table import Clip
from pipeline.video.windows import WindowRequest, window_starts


@dataclass(frozen=True)
class Plan:
    """The windows of a clip that are needed.

    Attributes:
        num_frames: Number of frames of the clip.
        starts: First frame of each window, ascending, each once [B].
        frame_window: For each sampled frame, the position of its window in `starts` [F].
    """

    num_frames: int
    starts: tuple[int, ...]
    frame_window: NDArray[np.intp]

    def request(self, clip: Clip, window: int, size: int | tuple[int, int]) -> WindowRequest:
        """Ask for the windows of a clip, of `window` frames each, cut or scaled to a size; see `WindowRequest`."""
        return WindowRequest(clip.file, self.num_frames, self.starts, window, size, clip.interval)

    def rows(self, features_BC: NDArray[np.float32]) -> Rows:
        """Make the artifact's rows, one for each sampled frame, from the features of the windows."""
        window_start = np.array(self.starts, dtype=np.int32)[self.frame_window]
        return {"motion": features_BC[self.frame_window], "window_start": window_start}


def plan_windows(sampled: Artifact, window: int) -> dict[str, Plan]:
    """Plan the windows of `window` frames of every video whose frames could be sampled; returns plans by id."""
    ptr, number, num_frames = sampled.ptr("frame"), sampled.array("number"), sampled.array("num_frames")
    plans = {}
    for row, video_id in enumerate(sampled.ids):
        starts_F = window_starts(number[ptr[row] : ptr[row + 1]], int(num_frames[row]), window)
        starts, frame_window = np.unique(starts_F, return_inverse=True)
        plans[video_id] = Plan(int(num_frames[row]), tuple(starts.tolist()), frame_window)
    return plans

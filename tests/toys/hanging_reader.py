"""A reader of frames that never ends for one video, as a decoder does that hangs."""

import time

from pipeline.video.frame_sampling import FramesRequest, SampledFrames, read_sampled_frames


def read_or_hang(request: FramesRequest) -> SampledFrames:
    """Read the sampled frames of a clip; of `b.mp4` wait for ten minutes before."""
    if request.path.name == "b.mp4":
        time.sleep(600)
    return read_sampled_frames(request)

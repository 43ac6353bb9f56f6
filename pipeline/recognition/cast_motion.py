"""Vectors of a trained CAST as motion of windows of frames, in the place of I3D's.

Shapes: W windows of a video, B windows of a batch, T frames of a window, F frames that the experts see, H height,
W width, C colours, D width of the experts.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.config import CastSettings, ConvolutionalSettings
from pipeline.errors import PipelineError
from pipeline.models.motion_encoding import Encode
from pipeline.models.precision import announced_dtype, compute_device
from pipeline.recognition.cast_file import KIND
from pipeline.recognition.cast_recognizer import CastRecognizer
from pipeline.recognition.clip_views import resized_size, squares
from pipeline.recognition.model_file import read_described
from pipeline.recognition.sampling import segments
from pipeline.video.windows import WindowFrames, Windows


class CastWindows:
    """Cuts what the experts see out of the windows of videos, as the central view of a clip is cut.

    Args:
        settings: Those of the trained recognizer.
        length: Frames of a window, of which the experts see the middles of equal segments; all if they take as many.
    """

    def __init__(self, settings: CastSettings | ConvolutionalSettings, length: int) -> None:
        self.views = settings.views
        self.chosen_F = segments(length, settings.frames.number, "test")

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that frames of a size are scaled to before the square is cut."""
        views = self.views
        return (views.size, views.size) if views.short_side is None else resized_size(height, width, views.short_side)

    def cut(self, found: WindowFrames) -> WindowFrames:
        """The windows of a video, of the chosen frames' central squares."""
        height, width = found.frames.shape[1:3]
        (crop,) = squares(height, width, self.views.size, 1)
        square = found.frames[:, crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
        return WindowFrames(square, found.rows_WT[:, self.chosen_F], found.suspect)


def make_cast_encoder(model: CastRecognizer, precision: str) -> Encode:
    """Make a function from windows u1 `[B, F, H, W, C]` to features float32: both streams' vectors, side by side.

    Args:
        model: The recognizer, in evaluation mode. A stream that nothing needs gives no features: those of two are
            `[B, 2 D]`, the spatial stream's first.
        precision: `fp32`, `bf16` or `auto`.
    """
    device = compute_device()
    dtype = announced_dtype(precision, device, "the encoder")
    network = model.to(device)

    def encode(windows_BFHWC: Windows) -> NDArray[np.float32]:
        x_BFCHW = torch.from_numpy(windows_BFHWC).to(device).movedim(-1, 2)
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            vectors = [vector.float() for vector in network.vectors(x_BFCHW) if vector is not None]
        return np.asarray(torch.cat(vectors, 1).cpu().numpy())

    return encode


def named_experts(model: Path) -> tuple[str, str]:
    """Names of the encoders that are the spatial and the temporal expert of a trained recognizer.

    Raises:
        PipelineError: The file is missing, damaged or of another kind, or another version of the recognizer wrote it.
    """
    again = f"run train_recognizer again (snakemake {model})"
    description, _ = read_described(model, KIND, again)
    try:
        settings = description["settings"]
        return str(settings["spatial"]), str(settings["temporal"])
    except (KeyError, TypeError) as error:
        raise PipelineError(f"{model} does not name its experts ({error}): {again}") from error

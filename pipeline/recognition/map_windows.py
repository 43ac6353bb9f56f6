"""Maps of windows by a trained recognizer: its backbone's last ones, or the tokens of both streams of a CAST.

Shapes: B windows, F frames that the recognizer sees, S steps of its maps, H height, W width, C colours or channels.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config import ConvolutionalSettings, DyRegSettings
from pipeline.errors import PipelineError
from pipeline.models.bf16_lstms import require_computable
from pipeline.models.map_encoding import Box, MapEncoder
from pipeline.models.precision import announced_dtype, compute_device
from pipeline.recognition.cast_motion import CastWindows
from pipeline.recognition.cast_recognizer import CastRecognizer
from pipeline.recognition.clip_views import squares
from pipeline.recognition.recognizer import Recognizer
from pipeline.recognition.trained import read_trained
from pipeline.video.windows import Windows

COLOURS = 3


def recognizer_maps(path: Path, experts: Sequence[Path], window: int) -> MapEncoder:
    """Make the encoder of the maps of a trained recognizer.

    The frames of a window are the middles of equal parts, and the square is the central one of its views.

    Args:
        path: The recognizer's file.
        experts: The files of the spatial and the temporal expert of a CAST; nothing for others.
        window: Frames of a window.

    Raises:
        PipelineError: A file cannot be read; or the recognizer takes grey frames, or boxes of objects.
    """
    trained = read_trained(path, experts)
    if trained.colours != COLOURS:
        raise PipelineError(f"{path}: the recognizer takes grey frames, and windows of videos have colours")
    modules = trained.settings.modules if isinstance(trained.settings, ConvolutionalSettings) else []
    if any(isinstance(module, DyRegSettings) and module.regions == "boxes" for module in modules):
        raise PipelineError(f"{path}: its modules take the boxes of objects, which windows of videos do not have")
    device = compute_device()
    dtype = announced_dtype(trained.settings.training.precision, device, "the encoder")
    require_computable(trained.model, device, dtype)
    model = trained.model.to(device)
    windows = CastWindows(trained.settings, window)

    def encode(windows_BFHWC: Windows) -> NDArray[np.float32]:
        x_BFCHW = torch.from_numpy(windows_BFHWC).to(device).movedim(-1, 2)
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            maps_BSHWC = last_maps(model, x_BFCHW)
        return np.asarray(maps_BSHWC.float().cpu().numpy())

    def seen(height: int, width: int) -> Box:
        size = trained.settings.views.size
        if trained.settings.views.short_side is None:
            return (0.0, 0.0, 1.0, 1.0)
        height, width = windows.size_of(height, width)
        (crop,) = squares(height, width, size, 1)
        return (crop.left / width, crop.top / height, (crop.left + size) / width, (crop.top + size) / height)

    return MapEncoder(encode, trained.settings.views.batch_size, windows.size_of, windows.cut, seen)


def last_maps(model: Recognizer | CastRecognizer, x_BFCHW: Tensor) -> Tensor:
    """The last maps, `[B, S, H', W', C]`: of a backbone, or of CAST's streams, the spatial one's channels first."""
    if isinstance(model, Recognizer):
        return model.maps(x_BFCHW).movedim(2, -1)
    return torch.cat([stream for stream in model.maps(x_BFCHW) if stream is not None], -1)

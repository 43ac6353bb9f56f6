"""Small encoders of maps in files: an I3D, a convolutional recognizer, and a CAST with its experts."""

from pathlib import Path

import numpy as np
import torch

from pipeline.config import I3dSettings, MapsSettings
from pipeline.models.i3d import InceptionI3d, calibrate, normalise, randomise
from pipeline.recognition.cast_file import describe_cast
from pipeline.recognition.cast_recognizer import build_over, read_experts
from pipeline.recognition.model_file import describe
from pipeline.recognition.recognizer import build_recognizer
from pipeline.weights.saving import save_weights
from toys.experts import cast_settings, write_experts
from toys.recognizers import TSM, recognizer_settings

I3D = I3dSettings(
    kind="i3d", weights="random", seed=1, calibrate_on="clips", calibration_clips=4, size=48, precision="fp32"
)
MAPS_OF = MapsSettings(sampling="action", encoder="i3d", align_size=(4, 2, 2), bits=10)
VIEWS = {"temporal": 2, "spatial": 3, "short_side": 40, "size": 32, "batch_size": 3}
HEADS = {"class": ["a", "b"]}


def write_map_encoders(folder: Path) -> None:
    """Write `i3d`, `tsm`, `cast`, `spatial` and `temporal`, each as `.safetensors`, into a folder."""
    model = InceptionI3d()
    randomise(model, seed=1)
    noise = np.random.default_rng(0).integers(0, 255, (8, 16, 48, 48, 3), dtype=np.uint8)
    calibrate(model, normalise(torch.from_numpy(noise)), batch_size=8)
    save_weights(model.state_dict(), folder / "i3d.safetensors", {})
    torch.manual_seed(5)
    views = {"temporal": 1, "spatial": 1, "short_side": 40, "size": 32, "batch_size": 2}
    settings = recognizer_settings(TSM | {"stages": 3}, size=32, views=views)
    recognizer = build_recognizer(settings, {"class": 2})
    save_weights(recognizer.state_dict(), folder / "tsm.safetensors", describe(settings, HEADS, "random"))
    experts = read_experts(*write_experts(folder))
    cast = cast_settings(views=VIEWS)
    over = build_over(experts, cast, {"class": 2})
    save_weights(over.part.state_dict(), folder / "cast.safetensors", describe_cast(cast, HEADS, experts))

"""Write encoder weights to one safetensors file: taken from a file, a URL or an open_clip tag, or random.

Loading is strict: a file of another architecture is refused, and missing weights are never filled in; the log says what
was matched. Random I3D weights are Kaiming-normal (He et al., ICCV 2015) with BatchNorm statistics measured on clips of
the training split; without these statistics the features are about 1e-6.

Shapes: B windows.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.artifact import read_json
from pipeline.artifact.video_table import read_all_clips
from pipeline.config import (
    Clip4ClipSettings,
    ClipTowerSettings,
    DetectorSettings,
    I3dSettings,
    VideoMaeSettings,
    WeightsEncoderSettings,
)
from pipeline.errors import PipelineError, VideoError
from pipeline.jobs.workers import decode_ahead
from pipeline.models.i3d import InceptionI3d, calibrate, load_i3d, normalise, randomise
from pipeline.recognition.towers.spatial_weights import load_spatial, tower_metadata, tower_state
from pipeline.recognition.towers.temporal_weights import start_tower, temporal_metadata
from pipeline.video.windows import WindowRequest, Windows, read_windows
from pipeline.weights.fetching import locate_weights
from pipeline.weights.origin import RANDOM, from_file
from pipeline.weights.saving import save_weights

CALIBRATION_WINDOW = 16  # frames, as published
CALIBRATION_SECONDS = 600.0  # limit for decoding a clip; one that takes longer is skipped for another
CALIBRATION_BATCH = 16  # windows of one forward pass

log = logging.getLogger(__name__)


def run(out: Path, settings: WeightsEncoderSettings, videos: list[Path], captions: list[Path]) -> None:
    """Write the weights of an encoder.

    Args:
        out: Where `weights.safetensors` goes.
        settings: The encoder: I3D, CLIP4Clip or its image tower, a detector or VideoMAE.
        videos: Video tables of the data set that random I3D weights are calibrated on; nothing for other weights.
        captions: captions.json of that data set, whose training split is used; nothing for other weights.

    Raises:
        PipelineError: The weights cannot be fetched or are of another architecture, or random I3D weights cannot be
            calibrated.
    """
    weights = locate_weights(settings.weights)
    if isinstance(settings, ClipTowerSettings):
        expert = load_spatial(Path(weights), settings.arch)
        save_weights(tower_state(expert), out, tower_metadata(expert))
        log.info("import_weights: weights of %s: %s", settings.kind, expert.origin)
        return
    model: nn.Module
    if isinstance(settings, Clip4ClipSettings):
        model, metadata = _import_clip(weights, settings)
    elif isinstance(settings, DetectorSettings):
        model, metadata = _import_detector(weights, settings)
    elif isinstance(settings, VideoMaeSettings):
        model, origin = start_tower(weights, settings.arch, settings.seed)
        metadata = temporal_metadata(settings.arch, origin)
    else:
        model, metadata = _import_i3d(weights, settings, videos, captions)
    save_weights(model.state_dict(), out, metadata)
    log.info("import_weights: weights of %s: %s", settings.kind, metadata["origin"])


def _import_clip(weights: str, settings: Clip4ClipSettings) -> tuple[nn.Module, dict[str, str]]:
    from pipeline.models.clip4clip import clip_metadata, load_pretrained  # slow to import: open_clip

    model, origin = load_pretrained(weights, settings.arch, settings.seed, level=logging.INFO)
    return model, clip_metadata(model, origin)


def _import_detector(weights: str, settings: DetectorSettings) -> tuple[nn.Module, dict[str, str]]:
    from pipeline.models.detector import detector_metadata, load_pretrained  # slow to import: torchvision

    arch, size = settings.arch, settings.size
    model, categories, origin = load_pretrained(weights, arch, size, settings.seed, level=logging.INFO)
    return model, detector_metadata(model, arch, size, categories, origin)


def _import_i3d(
    weights: str, settings: I3dSettings, videos: list[Path], captions: list[Path]
) -> tuple[nn.Module, dict[str, str]]:
    if weights == "random":
        model, origin = _random_i3d(settings, videos, captions), RANDOM
    else:
        model, origin = load_i3d(Path(weights), level=logging.INFO), from_file(Path(weights))
    arch = json.dumps({"num_classes": model.num_classes}, sort_keys=True)
    return model, {"kind": "i3d", "arch": arch, "origin": origin}


def _random_i3d(settings: I3dSettings, videos: list[Path], captions: list[Path]) -> InceptionI3d:
    log.warning("weights: random: the I3D encoder is UNTRAINED (seed %d)", settings.seed)
    windows = calibration_windows(settings, videos, captions)
    torch.set_num_threads(1)  # sums over several threads depend on the machine, and the file must not
    model = InceptionI3d()
    randomise(model, settings.seed)
    calibrate(model, normalise(windows), CALIBRATION_BATCH)
    return model


def calibration_windows(settings: I3dSettings, videos: list[Path], captions: list[Path]) -> Tensor:
    """Decode the middle window of some training clips, which are chosen by the seed.

    Args:
        settings: The encoder, of which `calibration_clips`, `size` and `seed` are used.
        videos: Video tables of the data set.
        captions: captions.json of the data set, as a list of one.

    Returns:
        u1 [B, 16, size, size, 3] with a window a clip; B is `calibration_clips`, or less if fewer can be decoded.

    Raises:
        PipelineError: The tables or captions are not given, or no training clip can be decoded.
    """
    if not videos or len(captions) != 1:
        raise PipelineError("weights: random needs the video tables and captions.json of the `calibrate_on` data set")
    clips = read_all_clips(videos)
    train = read_json(captions[0], ["splits"], "index_captions")["splits"]["train"]
    windows: list[Windows] = []
    candidates = shuffle([video_id for video_id in train if video_id in clips], settings.seed)
    requests = [
        WindowRequest(clips[key].file, None, None, CALIBRATION_WINDOW, settings.size, clips[key].interval)
        for key in candidates
    ]
    with decode_ahead(read_windows, requests, 1, CALIBRATION_SECONDS) as decoded:
        for video_id, outcome in zip(candidates, decoded, strict=True):
            if isinstance(outcome, VideoError):
                log.warning("not calibrated on %s: %s", video_id, outcome)
                continue
            windows.append(outcome)
            if len(windows) == settings.calibration_clips:
                break
    if not windows:
        raise PipelineError(
            f"weights: random: none of the {len(candidates)} training videos of `calibrate_on: "
            f"{settings.calibrate_on}` can be decoded; name another data set or a file of weights"
        )
    return torch.from_numpy(np.concatenate(windows))


def shuffle(ids: Sequence[str], seed: int) -> list[str]:
    """Sort ids in an order that depends on the ids and the seed alone, and not on their order before."""
    return sorted(ids, key=lambda video_id: hashlib.sha256(f"{seed} {video_id}".encode()).digest())

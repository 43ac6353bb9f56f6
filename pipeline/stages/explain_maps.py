"""Explain the captions of an LSTM captioner: for each word, which cells of the maps speak for it, and how faithfully.

Shapes: N words of a caption, T steps, H rows, W columns and C channels of maps, R cells of all steps.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.artifact import create, read
from pipeline.artifact.all_shards import AllShards
from pipeline.artifact.each_video import Rows, each_video
from pipeline.captioning.explained import explained_captions
from pipeline.captioning.lstm_captioner import LstmCaptioner
from pipeline.captioning.lstm_file import load_lstm, require_channels
from pipeline.captioning.random_twin import random_twins
from pipeline.captioning.removal import random_of, removal_curves
from pipeline.captioning.word_maps import log_p_of_kept, word_maps
from pipeline.config import RelevanceSettings
from pipeline.models.precision import compute_device
from pipeline.schemas import MAPS, RELEVANCE
from pipeline.scoring.faithfulness import rank_correlation

NO_EDGES = {"source": np.zeros(0, "i2"), "target": np.zeros(0, "i2"), "edge_relevance": np.zeros(0, "f4")}


class Explained(NamedTuple):
    """What explains captions.

    Attributes:
        model: The captioner, in evaluation mode.
        twins: The same with random weights; see `random_twins`.
        away_C: What stands in the place of a cell that is removed.
        settings: Method and seed.
    """

    model: LstmCaptioner
    twins: Sequence[LstmCaptioner]
    away_C: Tensor
    settings: RelevanceSettings


def run(*, maps: list[Path], captions: Path, model: Path, out: Path, settings: RelevanceSettings, threads: int) -> None:
    """Explain the captions of some videos of a split.

    Args:
        maps: Maps of the data set, of all its shards.
        captions: The captions of the split, which the captioner generated.
        model: The trained LSTM captioner (safetensors).
        out: The store to write (schema `relevance`).
        settings: Which videos are explained, and how.
        threads: CPU threads of the captioner.

    Raises:
        PipelineError: No captioned video has maps, the maps do not fit the captioner, or captions are of another one.
    """
    torch.set_num_threads(threads)
    store = AllShards([read(path, MAPS) for path in maps], ["map", "time", "seen"])
    captioner, vocabulary = load_lstm(model)
    told = explained_captions(captions, vocabulary, set(store.ids), settings.videos, settings.seed)
    require_channels(captioner, store.video(next(iter(told)), ["map"])["map"].shape[-1], model)
    captioner.to(compute_device()).requires_grad_(False)
    away_C = mean_cell(store.video(video_id, ["map"])["map"] for video_id in told).to(compute_device())
    explained = Explained(captioner, random_twins(captioner, settings.seed), away_C, settings)
    inputs = {"model": model, "captions": captions} | {f"maps_{number}": path for number, path in enumerate(maps)}
    with create(out, RELEVANCE, ids=list(told), stage="explain_maps", settings=settings, inputs=inputs) as writer:
        each_video(
            writer, {}, lambda video_id: rows_of(explained, video_id, told[video_id].tokens, store.video(video_id))
        )


def rows_of(explained: Explained, video_id: str, tokens: Sequence[int], clip: Rows) -> Rows:
    """Explain the caption of one clip.

    Args:
        explained: What explains it.
        video_id: The clip's id.
        tokens: The words of its caption.
        clip: Its `map`, `time` and `seen`.

    Returns:
        Its rows of the artifact.
    """
    model, twins, away_C, settings = explained
    maps_THWC = torch.from_numpy(clip["map"].astype(np.float32)).to(away_C.device)

    def relevance_of(of: LstmCaptioner) -> NDArray[np.float32]:
        found = word_maps(of, maps_THWC, tokens, settings.method, random_of(settings.seed, video_id))
        return found.reshape(len(tokens), maps_THWC.shape[:3].numel())

    relevance_NR, twins_NR = relevance_of(model), [relevance_of(twin) for twin in twins]
    log_p = log_p_of_kept(model, maps_THWC, tokens, away_C)
    curves = removal_curves(relevance_NR, log_p, random_of(settings.seed, video_id))
    shape = maps_THWC.shape[:3]
    alike = [rank_correlation(relevance_NR, twin_NR) for twin_NR in twins_NR]
    return NO_EDGES | {
        "token": np.array(tokens, np.int32),
        "log_p": curves.deleted_WS[:, 0],
        "relevance": relevance_NR.ravel(),
        "twin": twins_NR[-1].ravel(),
        "time": np.repeat(clip["time"], shape[1] * shape[2]),
        "box": np.tile(cells_of(clip["seen"][0], shape[1], shape[2]), (shape[0], 1)),
        "shape": np.array([shape], np.int32),
        "deleted": curves.deleted_WS,
        "inserted": curves.inserted_WS,
        "deleted_at_random": curves.random_WS,
        "randomised": np.array([one for one in alike if one is not None], np.float32),
    }


def mean_cell(maps_of_videos: Iterable[NDArray[np.float16]]) -> Tensor:
    """The mean cell `[C]` of some videos, over all their steps, rows and columns."""
    means = [maps_THWC.mean((0, 1, 2), np.float64) for maps_THWC in maps_of_videos]
    return torch.from_numpy(np.mean(means, 0).astype(np.float32))


def cells_of(seen_4: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """The boxes `[H W, 4]` of a grid's cells, row by row, in the part of the frame that it covers."""
    left, top, right, bottom = seen_4
    x, y = np.linspace(left, right, columns + 1), np.linspace(top, bottom, rows + 1)
    return np.array([(x[j], y[i], x[j + 1], y[i + 1]) for i in range(rows) for j in range(columns)], np.float32)

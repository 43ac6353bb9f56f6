"""Small maps, captions and LSTM captioners for the tests of training and generation."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline.artifact import create, write_json
from pipeline.captioning.lstm_captioner import LstmCaptioner
from pipeline.config import LstmModelSettings, LstmTrainingSettings
from pipeline.schemas import MAPS

CHANNELS, SIZE = 6, (4, 2, 3)
MODEL = LstmModelSettings(projection=8, embedding=10, hidden=12, attention="none", attention_width=7, dropout=0.0)
TRAINING = LstmTrainingSettings(
    epochs=4,
    batch_size=4,
    captions_per_video=2,
    accumulate=1,
    optimizer="adam",
    lr=1e-2,
    final_lr=None,
    momentum=0.9,
    weight_decay=0.0,
    schedule="none",
    plateau=None,
    warmup=0.0,
    clip_norm=5.0,
    label_smoothing=0.0,
    noise=0.05,
    validate_every=2,
    validation_beam=3,
    patience=None,
    precision="fp32",
)


def maps_of(seed: int, size: tuple[int, int, int] = SIZE) -> np.ndarray:
    """Random maps `[T, H, W, C]`."""
    return np.random.default_rng([seed, 9]).normal(size=(*size, CHANNELS)).astype(np.float16)


def lstm(num_words: int = 12, attention: str = "none", sharpen: float = 1.0) -> LstmCaptioner:
    """An untrained captioner in evaluation mode; `sharpen` scales what it says, for captions that differ."""
    torch.manual_seed(1)
    settings = MODEL.model_copy(update={"attention": attention})
    model = LstmCaptioner(settings, num_words, CHANNELS).eval()
    with torch.no_grad():
        model.generator.weight *= sharpen
    return model


@dataclass(frozen=True)
class MapToys:
    """Files of a small data set: maps in one store, captions with splits, a vocabulary."""

    maps: Path
    captions: Path
    vocabulary: Path


def write_map_toys(folder: Path, num_train: int = 9, num_val: int = 3, num_test: int = 2, without: str = "") -> MapToys:
    """Videos a channel of whose maps says what happens in them; `without` is left out of the maps."""
    words = ["cat", "dog", "bird"]
    ids = [f"video-{number}" for number in range(num_train + num_val + num_test)]
    truth = {video_id: words[number % 3] for number, video_id in enumerate(ids)}
    captions = {i: [f"a {word} runs home.", f"The {word} is running"] for i, word in truth.items()}
    splits = {
        "train": ids[:num_train],
        "val": ids[num_train : num_train + num_val],
        "test": ids[num_train + num_val :],
    }
    with create(folder / "maps.zarr", MAPS, ids=ids, stage="extract_maps", settings={}, inputs={}) as writer:
        for number, video_id in enumerate(ids):
            if video_id == without:
                writer.fail(video_id, "cut off")
                continue
            x = maps_of(number)
            x[..., number % 3] += 4
            writer.append(video_id, map=x, time=np.arange(SIZE[0]) / 4, seen=np.array([[0.1, 0.0, 0.9, 1.0]]))
    write_json(folder / "captions.json", {"captions": captions, "splits": splits})
    vocabulary = ["<pad>", "<bos>", "<eos>", "<unk>", "a", "bird", "cat", "dog", "home", "is", "running", "runs", "the"]
    (folder / "vocabulary.json").write_text(json.dumps({"words": vocabulary, "max_words": 5}))
    return MapToys(folder / "maps.zarr", folder / "captions.json", folder / "vocabulary.json")

"""Small graphs, captions and captioners for the tests of training and generation."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline.artifact import create, write_json
from pipeline.config import CaptionerModelSettings, DecodingSettings, TrainingSettings
from pipeline.models.action_graph import ActionGraph, action_graph
from pipeline.models.captioner import Captioner
from pipeline.schemas import GRAPHS

NODE_DIM, MOTION_DIM = 6, 5

MODEL = CaptionerModelSettings(
    node_position="learned",
    graph_width=16,
    graph_heads=2,
    visual_width=16,
    visual_layers=1,
    visual_feedforward=32,
    visual_heads_right_to_left=4,
    visual_heads_left_to_right=2,
    width=16,
    decoder_layers=2,
    decoder_heads=2,
    decoder_feedforward=32,
    dropout=0.1,
)
TRAINING = TrainingSettings(
    epochs=4,
    batch_size=4,
    captions_per_video=2,
    accumulate=1,
    lr=1e-3,
    weight_decay=5e-6,
    warmup=0.1,
    clip_norm=5.0,
    label_smoothing=0.15,
    left_to_right_weight=0.6,
    reverse_pairing="epoch",
    validate_every=2,
    patience=10,
    precision="fp32",
)
DECODING = DecodingSettings(beam=3, max_words=6, batch_size=4)


def graph_rows(seed: int, num_frames: int = 3, nodes_of_frame: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    """A random graph, fully connected within frames and to the next; two nodes a frame unless told otherwise."""
    rng = np.random.default_rng(seed)
    sizes = nodes_of_frame or (2,) * num_frames
    frame = np.repeat(np.arange(len(sizes)), sizes)
    step = frame[None, :] - frame[:, None]
    source, target = np.nonzero((step == 0) | (step == 1))
    kind = step[source, target]
    return {
        "x": rng.normal(size=(len(frame), NODE_DIM)),
        "node_frame": frame,
        "box": rng.random((len(frame), 4)),
        "source": source,
        "target": target,
        "kind": kind,
        "weight": np.where(kind == 1, 0.5, 1.0),
        "motion": rng.normal(size=(len(sizes), MOTION_DIM)),
    }


def graph(seed: int, num_frames: int = 3, nodes_of_frame: tuple[int, ...] = ()) -> ActionGraph:
    return action_graph(graph_rows(seed, num_frames, nodes_of_frame))


def captioner(num_words: int = 12, settings: CaptionerModelSettings = MODEL, sharpen: float = 1.0) -> Captioner:
    """An untrained captioner in evaluation mode; `sharpen` scales its generator, for captions that differ."""
    torch.manual_seed(0)
    model = Captioner(settings, num_words, NODE_DIM, MOTION_DIM).eval()
    with torch.no_grad():
        model.generator.weight *= sharpen
    return model


@dataclass(frozen=True)
class Toys:
    """Files of a small data set: graphs in one store, captions with splits, a vocabulary."""

    graphs: Path
    captions: Path
    vocabulary: Path


def write_toys(folder: Path, num_train: int = 9, num_val: int = 3, num_test: int = 2, without: str = "") -> Toys:
    """Videos whose first feature says what happens in them; `without` is left out of the graphs."""
    words = ["cat", "dog", "bird"]
    ids = [f"video-{number}" for number in range(num_train + num_val + num_test)]
    truth = {video_id: words[number % 3] for number, video_id in enumerate(ids)}
    captions = {i: [f"a {word} runs home.", f"The {word} is running"] for i, word in truth.items()}
    splits = {
        "train": ids[:num_train],
        "val": ids[num_train : num_train + num_val],
        "test": ids[num_train + num_val :],
    }
    graphs = folder / "graphs.zarr"
    with create(graphs, GRAPHS, ids=ids, stage="convert_graphs", settings={}, inputs={}) as writer:
        for number, video_id in enumerate(ids):
            if video_id == without:
                writer.fail(video_id, "cut off")
                continue
            rows = graph_rows(number, num_frames=2 + number % 2)
            rows["x"][:, number % 3] += 4
            writer.append(video_id, **rows)
    write_json(folder / "captions.json", {"captions": captions, "splits": splits})
    vocabulary = ["<pad>", "<bos>", "<eos>", "<unk>", "a", "bird", "cat", "dog", "home", "is", "running", "runs", "the"]
    (folder / "vocabulary.json").write_text(json.dumps({"words": vocabulary, "max_words": 5}))
    return Toys(graphs, folder / "captions.json", folder / "vocabulary.json")

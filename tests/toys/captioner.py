"""Small graphs, captions and captioners for the tests of training and generation."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline.artifact import create, read, write_json
from pipeline.captioning.captioner import Captioner
from pipeline.config import CaptionerModelSettings, DecodingSettings, GridNodesSettings, TrainingSettings
from pipeline.models.action_graph import ActionGraph, action_graph
from pipeline.schemas import GRAPHS, KNOWLEDGE, NODES, PAIR_MOTION

NODE_DIM, MOTION_DIM, KNOWLEDGE_DIM, OBJECT_DIM = 6, 5, 7, 4 + 6

MODEL = CaptionerModelSettings(
    node_position="learned",
    pool="present",
    graph_encoder="transformer",
    graph_width=16,
    graph_heads=2,
    visual_width=16,
    visual_layers=1,
    visual_feedforward=32,
    visual_heads_right_to_left=4,
    visual_heads_left_to_right=2,
    fusion="concatenate",
    knowledge_attention="mha",
    knowledge_layers=1,
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
    validation_beam=3,
    patience=10,
    precision="fp32",
)
GRID_NODES = GridNodesSettings(kind="grid", sampling="action", encoder="clip", cells=2, overlap=0.5)
DECODING = DecodingSettings(
    beam=3,
    max_words=6,
    min_words=0,
    length_penalty=0.0,
    no_repeat_ngram=0,
    rerank="none",
    nucleus=None,
    batch_size=4,
)


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


def graph(
    seed: int,
    num_frames: int = 3,
    nodes_of_frame: tuple[int, ...] = (),
    knowledge: int | None = None,
    objects: int | None = None,
    pairs: bool = False,
) -> ActionGraph:
    """A random graph; with so many rows of knowledge and of objects, if any are wanted, and with motion of pairs."""
    rows = graph_rows(seed, num_frames, nodes_of_frame)
    rng = np.random.default_rng([seed, 1])
    return action_graph(
        rows,
        pair_rows(seed, rows) if pairs else None,
        None if knowledge is None else rng.normal(size=(knowledge, KNOWLEDGE_DIM)),
        None if objects is None else rng.normal(size=(objects, OBJECT_DIM)),
    )


def pair_rows(seed: int, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Motion of the pairs of nodes of a graph's frames, the same either way round."""
    within = rows["kind"] == 0
    pairs = np.sort(np.stack([rows["source"][within], rows["target"][within]]), axis=0)
    unique, edge_pair = np.unique(pairs, axis=1, return_inverse=True)
    rng = np.random.default_rng([seed, 2])
    num_pairs = unique.shape[1]
    return {
        "motion": rng.normal(size=(num_pairs, MOTION_DIM)),
        "box": rng.random((num_pairs, 4)),
        "pair_frame": rows["node_frame"][unique[0]],
        "edge_pair": edge_pair.reshape(-1),
    }


def captioner(
    num_words: int = 12, settings: CaptionerModelSettings = MODEL, sharpen: float = 1.0, **dims: int
) -> Captioner:
    """An untrained captioner in evaluation mode; `sharpen` scales what it sees and says, for captions that differ."""
    torch.manual_seed(1)
    model = Captioner(settings, num_words, NODE_DIM, MOTION_DIM, **dims).eval()
    with torch.no_grad():
        for layer in (model.generator, model.encoder_right_to_left.out, model.encoder_left_to_right.out):
            layer.weight *= sharpen
    return model


@dataclass(frozen=True)
class Toys:
    """Files of a small data set: graphs in one store, captions with splits, a vocabulary."""

    graphs: Path
    captions: Path
    vocabulary: Path


def write_toys(
    folder: Path, num_train: int = 9, num_val: int = 3, num_test: int = 2, without: str = "", told: bool = True
) -> Toys:
    """Videos whose first features say, if told, what happens in them; `without` is left out of the graphs."""
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
            rows["x"][:, number % 3] += 4 * told
            writer.append(video_id, **rows)
    write_json(folder / "captions.json", {"captions": captions, "splits": splits})
    vocabulary = ["<pad>", "<bos>", "<eos>", "<unk>", "a", "bird", "cat", "dog", "home", "is", "running", "runs", "the"]
    (folder / "vocabulary.json").write_text(json.dumps({"words": vocabulary, "max_words": 5}))
    return Toys(graphs, folder / "captions.json", folder / "vocabulary.json")


def write_further(folder: Path, toys: Toys, without: str = "", told: bool = False) -> dict[str, list[Path]]:
    """Motion of pairs, knowledge and objects for the graphs of `write_toys`.

    A video has 0 (if told, 1), 2 or 4 rows of knowledge, of which the first says, if told, what happens in it. It has
    some objects. `without` failed in both.
    """
    known = read(toys.graphs, GRAPHS)
    paths = {name: folder / f"{name}.zarr" for name in ("pair_motion", "knowledge", "objects")}
    made_by = {"ids": known.ids, "stage": "", "settings": {}, "inputs": {}}
    with (
        create(paths["pair_motion"], PAIR_MOTION, **made_by) as pairs,
        create(paths["knowledge"], KNOWLEDGE, **made_by) as knowledge,
        create(paths["objects"], NODES, **made_by) as objects,
    ):
        for number, video_id in enumerate(known.ids):
            rows, rng = known.video(video_id), np.random.default_rng([number, 3])
            pairs.append(video_id, **pair_rows(number, rows))
            if video_id == without:
                knowledge.fail(video_id, "no frame was told apart")
                objects.fail(video_id, "no frame was read")
                continue
            num_rows, num_frames = max(int(told), 2 * (number // 3 % 3)), len(rows["motion"])
            x = rng.normal(size=(num_rows, KNOWLEDGE_DIM))
            x[:1, number % 3] += 8 * told
            knowledge.append(
                video_id,
                x=x,
                is_relation=np.arange(num_rows) % 2,
                word=np.arange(num_rows),
                similarity=rng.random(num_rows),
            )
            frame = np.sort(rng.integers(num_frames, size=2 * num_frames - 1))
            objects.append(
                video_id,
                x=rng.normal(size=(len(frame), OBJECT_DIM - 4)),
                node_frame=frame,
                box=rng.random((len(frame), 4)),
                label=np.ones(len(frame), np.int64),
                score=rng.random(len(frame)),
                frame_time=np.arange(num_frames) / 4,
            )
    return {name: [path] for name, path in paths.items()}

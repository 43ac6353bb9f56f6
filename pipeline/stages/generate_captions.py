"""Caption the videos of a split by beam search, right to left and then left to right, as AKG-sv and BTKG do."""

from pathlib import Path
from typing import Any

import torch

from pipeline.artifact import read_json, write_json
from pipeline.artifact.inputs import record_inputs
from pipeline.captioning.generation import iterate_captions
from pipeline.captioning.graph_set import GraphList, load_graphs
from pipeline.captioning.model_file import load_captioner
from pipeline.config import DecodingSettings
from pipeline.jobs.progress import track
from pipeline.models.precision import compute_device


def run(
    *,
    graphs: list[Path],
    pair_motion: list[Path],
    knowledge: list[Path],
    objects: list[Path],
    captions: Path,
    model: Path,
    out: Path,
    split: str,
    settings: DecodingSettings,
    threads: int,
) -> None:
    """Caption every video of a split that has a graph.

    Args:
        graphs: Graphs of the data set, of all its shards.
        pair_motion: Motion of pairs of nodes, of all shards; nothing where edges carry the motion of whole frames.
        knowledge: Knowledge rows of the videos, of all shards; nothing where the experiment has no knowledge.
        objects: Object nodes besides the graph, of all shards; nothing where the experiment has none.
        captions: The data set's captions.json, for its splits.
        model: A trained captioner (safetensors).
        out: Where the captions go (JSON): `captions`, `scores` and `right_to_left` by id, `missing` (ids without a
            graph), `tokenizer` (that of the captioner's vocabulary), `inputs` (the model with its digest and path) and,
            where some are drawn, `samples` by id. Scores are those of the left-to-right decoder, also where both
            directions chose the caption.
        split: The split whose videos are captioned: train, val or test.
        settings: How captions are searched for.
        threads: CPU threads of the captioner.
    """
    torch.set_num_threads(threads)
    known = load_graphs(graphs, pair_motion=pair_motion, knowledge=knowledge, objects=objects)
    ids = read_json(captions, ["captions", "splits"], "index_captions")["splits"].get(split, [])
    there = [video_id for video_id in ids if video_id in known]
    captioner, vocabulary = load_captioner(model)
    found = iterate_captions(captioner.to(compute_device()), vocabulary, GraphList(known, there), settings, there)
    captioned = dict(zip(there, track(found, len(there), "generate_captions"), strict=True))
    content: dict[str, Any] = {
        "captions": {video_id: caption.text for video_id, caption in captioned.items()},
        "scores": {video_id: caption.score for video_id, caption in captioned.items()},
        "right_to_left": {
            i: caption.right_to_left for i, caption in captioned.items() if caption.right_to_left is not None
        },
        "missing": [video_id for video_id in ids if video_id not in known],
        "tokenizer": vocabulary.tokenizer,
        "inputs": record_inputs({"model": model}),
    }
    if settings.nucleus is not None:
        content["samples"] = {video_id: list(caption.samples) for video_id, caption in captioned.items()}
    write_json(out, content)

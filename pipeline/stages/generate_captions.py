"""Caption the videos of a split by beam search, from their graphs or from their maps.

A captioner of graphs searches right to left and then left to right, as AKG-sv and BTKG do; one of maps left to right.
"""

from pathlib import Path
from typing import Any

import torch

from pipeline.artifact import read_json, write_json
from pipeline.artifact.inputs import record_inputs
from pipeline.captioning.caption_table import write_table
from pipeline.captioning.either_kind import captions_of_videos, load_videos
from pipeline.config import DecodingSettings
from pipeline.jobs.progress import track


def run(
    *,
    graphs: list[Path],
    pair_motion: list[Path],
    knowledge: list[Path],
    objects: list[Path],
    maps: list[Path],
    captions: Path,
    model: Path,
    out: Path,
    table: Path,
    split: str,
    settings: DecodingSettings,
    threads: int,
) -> None:
    """Caption every video of a split that has a graph, or maps.

    Args:
        graphs: Graphs of the data set, of all its shards; nothing where the captioner reads maps.
        pair_motion: Motion of pairs of nodes, of all shards; nothing where edges carry the motion of whole frames.
        knowledge: Knowledge rows of the videos, of all shards; nothing where the experiment has no knowledge.
        objects: Object nodes besides the graph, of all shards; nothing where the experiment has none.
        maps: Maps of the data set, of all its shards; nothing where the captioner reads graphs.
        captions: The data set's captions.json, for its splits.
        model: A trained captioner (safetensors).
        out: Where the captions go (JSON): `captions`, `scores` and `right_to_left` by id, `missing` (ids without a
            graph or maps), `tokenizer` (that of the captioner's vocabulary), `inputs` (the model with its digest and
            path) and, where some are drawn, `samples` by id. Scores are those of the left-to-right decoder, also where
            both directions chose the caption.
        table: Where the captions go, too, as a table (CSV): `video_id` and `caption`.
        split: The split whose videos are captioned: train, val or test.
        settings: How captions are searched for.
        threads: CPU threads of the captioner.
    """
    torch.set_num_threads(threads)
    known = load_videos(graphs, pair_motion, knowledge, objects, maps)
    ids = read_json(captions, ["captions", "splits"], "index_captions")["splits"].get(split, [])
    there = [video_id for video_id in ids if video_id in known]
    vocabulary, found = captions_of_videos(known, model, there, settings)
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
    write_table(table, content["captions"])

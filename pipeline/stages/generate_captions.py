"""Caption the videos of a split by beam search, right to left and then left to right (AKG-sv and BTKG)."""

from pathlib import Path

import torch

from pipeline import gpus
from pipeline.artifact import read_json, write_json
from pipeline.config import DecodingSettings
from pipeline.models.action_graph import load_graphs
from pipeline.models.beam_search import iterate_captions
from pipeline.progress import track
from pipeline.training.captioner_training import GraphList
from pipeline.training.model_file import load_captioner


def run(
    *,
    graphs: list[Path],
    captions: Path,
    model: Path,
    out: Path,
    split: str,
    settings: DecodingSettings,
    threads: int,
) -> None:
    """Caption every video of a split that has a graph.

    Args:
        graphs: Graphs of the data set, all its shards.
        captions: The data set's captions.json, for its splits.
        model: A trained captioner (safetensors).
        out: Where the captions go (JSON).
        split: Whose videos are captioned: train, val or test.
        settings: How captions are searched for.
        threads: CPU threads.
    """
    torch.set_num_threads(threads)
    known = load_graphs(graphs)
    ids = read_json(captions, ["captions", "splits"], "index_captions")["splits"].get(split, [])
    there = [video_id for video_id in ids if video_id in known]
    captioner, vocabulary = load_captioner(model)
    found = iterate_captions(captioner.to(gpus.device()), vocabulary, GraphList(known, there), settings)
    captioned = dict(zip(there, track(found, len(there), "generate_captions"), strict=True))
    write_json(
        out,
        {
            "captions": {video_id: caption.text for video_id, caption in captioned.items()},
            "scores": {video_id: caption.score for video_id, caption in captioned.items()},
            "right_to_left": {video_id: caption.right_to_left for video_id, caption in captioned.items()},
            "missing": [video_id for video_id in ids if video_id not in known],
        },
    )

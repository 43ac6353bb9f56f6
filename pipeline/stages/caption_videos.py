"""Caption every video of a data set by a trained experiment; the data set needs no reference captions."""

from pathlib import Path
from typing import Any

import torch

from pipeline.artifact import write_json
from pipeline.artifact.inputs import record_inputs
from pipeline.artifact.video_table import Clip, read_all_clips
from pipeline.captioning.caption_table import write_table
from pipeline.captioning.either_kind import captions_of_videos, load_videos
from pipeline.captioning.generation import Caption
from pipeline.captioning.graph_set import GraphSet
from pipeline.captioning.map_set import MapSet
from pipeline.config import DecodingSettings
from pipeline.jobs.progress import track


def run(
    *,
    graphs: list[Path],
    pair_motion: list[Path],
    knowledge: list[Path],
    objects: list[Path],
    maps: list[Path],
    videos: list[Path],
    model: Path,
    out: Path,
    table: Path,
    experiment: str,
    settings: DecodingSettings,
    threads: int,
) -> None:
    """Caption every video that has a graph, or maps, and print each caption.

    Args:
        graphs: Graphs of the data set, of all its shards; nothing where the captioner reads maps.
        pair_motion: Motion of pairs of nodes, of all shards; nothing where edges carry the motion of whole frames.
        knowledge: Knowledge rows of the videos, of all shards; nothing where the experiment has no knowledge.
        objects: Object nodes besides the graph, of all shards; nothing where the experiment has none.
        maps: Maps of the data set, of all its shards; nothing where the captioner reads graphs.
        videos: The data set's video tables.
        model: The experiment's captioner (safetensors).
        out: Where the captions go (JSON): `videos`, by id, each with path below the data set's folder, caption, score,
            right_to_left (where the captioner has that direction), start and stop in seconds (where the clip is an
            interval of its file) and samples (where some are drawn); `missing`, the reason by id; `experiment`; and
            `inputs`, the model with its digest and path.
        table: Where the captions go, too, as a table (CSV): `video_id` and `caption`.
        experiment: Name of the experiment.
        settings: How captions are searched for.
        threads: CPU threads of the captioner.
    """
    torch.set_num_threads(threads)
    known = load_videos(graphs, pair_motion, knowledge, objects, maps)
    clips = read_all_clips(videos)
    ids = [video_id for video_id in clips if video_id in known]
    _, found = captions_of_videos(known, model, ids, settings)
    told = {}
    for video_id, caption in zip(ids, track(found, len(ids), "caption_videos"), strict=True):
        print(f"{printable(video_id)}: {caption.text}", flush=True)
        told[video_id] = describe(clips[video_id], caption)
    missing = reasons(clips.keys() - set(ids), known)
    inputs = record_inputs({"model": model})
    write_json(out, {"experiment": experiment, "inputs": inputs, "videos": told, "missing": missing})
    write_table(table, {video_id: video["caption"] for video_id, video in told.items()})


def describe(clip: Clip, caption: Caption) -> dict[str, Any]:
    """Make the entry of one clip in `videos` of the output."""
    told: dict[str, Any] = {"path": clip.path, "caption": caption.text, "score": caption.score}
    if caption.right_to_left is not None:
        told["right_to_left"] = caption.right_to_left
    part = {} if clip.interval is None else clip.interval.as_json()
    return told | part | ({"samples": list(caption.samples)} if caption.samples else {})


def reasons(ids: set[str], known: GraphSet | MapSet) -> dict[str, str]:
    """Tell for each of these videos why it has no graph, or no maps."""
    of_maps = isinstance(known, MapSet)
    otherwise = "not in maps: run extract_maps again" if of_maps else "not in graphs: run convert_graphs again"
    return {video_id: known.failed.get(video_id, otherwise) for video_id in sorted(ids)}


def printable(name: str) -> str:
    """Return a file's name for a terminal: escaped where it holds line ends or control characters."""
    return name if name.isprintable() else ascii(name)

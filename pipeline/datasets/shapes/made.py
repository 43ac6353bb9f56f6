"""Read the data set `shapes` as `make_shapes` wrote it: one list for each shard, beside the videos it names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.artifact import read_json
from pipeline.errors import PipelineError


def read_list(made: Path) -> list[dict[str, Any]]:
    """Read `id`, `file`, `size`, `sha256`, `split` and `captions` of the videos of one shard, sorted by id.

    Raises:
        PipelineError: if the list or a video of it is missing; the message says which stage to run.
    """
    videos: list[dict[str, Any]] = sorted(read_json(made, ["videos"], "make_shapes")["videos"], key=lambda v: v["id"])
    missing = [video["file"] for video in videos if not (made.parent / video["file"]).is_file()]
    if missing:
        raise PipelineError(
            f"{made} names {len(missing)} videos that are not there ({missing[0]}): delete it and run make_shapes "
            f"again (snakemake {made})"
        )
    return videos


def read_captions(made: Sequence[Path]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Read the captions of each video and the sorted ids of each split, over all shards.

    Args:
        made: The lists of all shards.
    """
    captions: dict[str, list[str]] = {}
    splits: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for path in made:
        for video in read_list(path):
            captions[video["id"]] = video["captions"]
            splits[video["split"]].append(video["id"])
    return captions, {split: sorted(ids) for split, ids in splits.items()}

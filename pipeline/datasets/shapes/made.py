"""The data set `shapes` as `make_shapes` left it: one list a shard, beside the videos it names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.artifact import read_json
from pipeline.errors import PipelineError


def read_list(made: Path) -> list[dict[str, Any]]:
    """Videos of one shard: `id`, `file`, `size`, `sha256`, `split` and `captions` of each, by id.

    Raises:
        PipelineError: if the list or a video of it is missing; says which stage to run.
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
    """Captions by video and sorted ids by split, of all the shards.

    Args:
        made: Their lists.
    """
    captions: dict[str, list[str]] = {}
    splits: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for path in made:
        for video in read_list(path):
            captions[video["id"]] = video["captions"]
            splits[video["split"]].append(video["id"])
    return captions, {split: sorted(ids) for split, ids in splits.items()}

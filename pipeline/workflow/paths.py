"""The paths of all artifacts: the workflow makes them there, and `verify` and `gc` recognise them by their paths.

Below `results/` the workflow makes nothing else but the videos beside a `made` list, their journal, and hidden siblings
of these files and folders.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.workflow.trials import SEEDS

SPLITS = ("train", "val", "test")  # of a data set, in the order in which tables show them
CHALLENGE = "challenge"  # clips without labels, beside the splits: outputs for them are exported, and nothing is scored

ARTIFACTS = {
    "made": "results/datasets/{dataset}/made/{shard}/list.json",
    "truth": "results/datasets/{dataset}/made/{shard}/truth.json",
    "videos": "results/datasets/{dataset}/videos/{shard}.json",
    "captions": "results/datasets/{dataset}/captions.json",
    "bounds": "results/datasets/{dataset}/bounds/{split}.json",
    "check": "results/datasets/{dataset}/check.json",
    "check_table": "results/datasets/{dataset}/check.txt",
    "frames": "results/datasets/{dataset}/frames/{sampling}/{shard}.zarr/zarr.json",
    "motion": "results/datasets/{dataset}/motion/{sampling}/{encoder}/{shard}.zarr/zarr.json",
    "appearance": "results/datasets/{dataset}/appearance/{sampling}/{encoder}/{shard}.zarr/zarr.json",
    "nodes": "results/datasets/{dataset}/nodes/{nodes}/{shard}.zarr/zarr.json",
    "spatial_graphs": "results/datasets/{dataset}/spatial_graphs/{graph}/{shard}.zarr/zarr.json",
    "temporal_graphs": "results/datasets/{dataset}/temporal_graphs/{graph}/{shard}.zarr/zarr.json",
    "graphs": "results/datasets/{dataset}/graphs/{graph}/{shard}.zarr/zarr.json",
    "pair_motion": "results/datasets/{dataset}/pair_motion/{graph}/{shard}.zarr/zarr.json",
    "maps": "results/datasets/{dataset}/maps/{maps}/{shard}.zarr/zarr.json",
    "triplets": "results/knowledge/{knowledge}/triplets.json",
    "embedding": "results/knowledge/{knowledge}/embedding.safetensors",
    "embedding_scores": "results/knowledge/{knowledge}/scores.json",
    "knowledge": "results/datasets/{dataset}/knowledge/{knowledge}/{shard}.zarr/zarr.json",
    "weights": "results/encoders/{encoder}/weights.safetensors",
    "retrieval": "results/encoders/{encoder}/retrieval.json",
    "detection": "results/encoders/{encoder}/detection.json",
    "pretraining": "results/encoders/{encoder}/pretraining.json",
    "reconstructions": "results/encoders/{encoder}/reconstructions.png",
    "vocabulary": "results/vocabularies/{vocabulary}.json",
    "labels": "results/datasets/{dataset}/labels.json",
    "clips": "results/datasets/{dataset}/clips/{clipping}/{shard}.zarr/zarr.json",
    "fronts": "results/datasets/{dataset}/fronts/{clipping}/{recognizer}/{shard}.zarr/zarr.json",
    "groups": "results/datasets/{dataset}/groups/{groups}.json",
    "features": "results/datasets/{dataset}/features/{trial}/{shard}.zarr/zarr.json",
    "model": "results/experiments/{trial}/model.safetensors",
    "curves": "results/experiments/{trial}/curves.csv",
    "generated": "results/experiments/{trial}/{split}/captions.json",
    "generated_table": "results/experiments/{trial}/{split}/captions.csv",
    "scores": "results/experiments/{trial}/{split}/scores.json",
    "per_video": "results/experiments/{trial}/{split}/per_video.csv",
    "akg_scores": "results/experiments/{trial}/{split}/akg_scores.json",
    "clip_scores": "results/experiments/{trial}/{split}/clip_scores/{metric}/{sampling}/{encoder}.json",
    "logits": "results/experiments/{trial}/{split}/logits.zarr/zarr.json",
    "per_class": "results/experiments/{trial}/{split}/per_class.csv",
    "regions": "results/experiments/{trial}/{split}/regions.zarr/zarr.json",
    "region_scores": "results/experiments/{trial}/{split}/region_scores.json",
    "epic_scores": "results/experiments/{trial}/{split}/epic_scores.json",
    "epic_export": "results/experiments/{trial}/{split}/epic.pkl",
    "routes": "results/experiments/{trial}/{split}/routes.zarr/zarr.json",
    "embeddings": "results/experiments/{trial}/{split}/embeddings.png",
    "settings": "results/experiments/{experiment}/settings.json",
    "relevance": "results/explanations/{explanation}/relevance.zarr/zarr.json",
    "faithfulness": "results/explanations/{explanation}/faithfulness.json",
    "overlays": "results/explanations/{explanation}/overlays/index.json",
    "predicted": "results/predictions/{prediction}/captions.json",
    "predicted_table": "results/predictions/{prediction}/captions.csv",
    "gallery": "results/predictions/{prediction}/index.html",
    "report": "results/report/index.html",
}

NAME = "[A-Za-z0-9][A-Za-z0-9_-]*"  # the names that the configuration admits
CONSTRAINTS = {
    "shard": r"\d\d\d+",
    "split": "|".join((*SPLITS, CHALLENGE)),
    "metric": "clip_score|pac_s",
    "trial": rf"{NAME}(?:/{SEEDS}/(?:0|[1-9]\d*))?",
}


def identify(path: str) -> tuple[str, dict[str, str]] | None:
    """Recognise an artifact by its path.

    Args:
        path: The artifact's path from `results/` on; for a store the path of its `zarr.json`.

    Returns:
        The kind of the artifact and the names in its path, such as `("vocabulary", {"vocabulary": "shapes"})`; None if
        no artifact has this path.
    """
    for kind, pattern in ARTIFACTS.items():
        found = _expression(pattern).fullmatch(path)
        if found:
            return kind, found.groupdict()
    return None


@dataclass(frozen=True)
class Located:
    """An artifact and what its path says of it.

    Attributes:
        kind: A key of ARTIFACTS.
        names: The names in the path, such as `{"dataset": "shapes", "shard": "003"}`, in the order of the path.
        path: Its path as it was given; for a store the path of its `zarr.json`.
        below: Its path below the results, such as `datasets/home/videos/000.json`.
    """

    kind: str
    names: dict[str, str]
    path: Path
    below: str


def locate(path: Path) -> Located | None:
    """Recognise an artifact by its path, wherever the results are and whatever their folder is called.

    Args:
        path: The artifact's path, absolute or not; for a store the path of its `zarr.json`.

    Returns:
        The artifact; None if no artifact has such a path.
    """
    for start in range(len(path.parts)):
        below = "/".join(path.parts[start:])
        if (identity := identify(f"results/{below}")) is not None:
            return Located(*identity, path, below)
    return None


def path_below_results(path: Path) -> str:
    """The path by which an artifact records one of its inputs.

    Args:
        path: The input's path, absolute or not; for a store its folder or its `zarr.json`.

    Returns:
        For an artifact of the workflow its path below the results (for a store the path of its `zarr.json`); for any
        other file or store its name alone.
    """
    located = locate(path / "zarr.json" if path.suffix == ".zarr" else path)
    if located is not None:
        return located.below
    return path.parent.name if path.name == "zarr.json" else path.name


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", pattern)  # text, name, text, name, ..., text
    named = [
        f"(?P<{part}>{CONSTRAINTS.get(part, NAME)})" if odd % 2 else re.escape(part) for odd, part in enumerate(parts)
    ]
    return re.compile("".join(named))

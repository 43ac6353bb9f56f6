"""Write one self-contained page about every experiment: scores, curves, stages, captioned clips, what was left out.

The page loads nothing from anywhere: clips and pictures stand in it, so it can be mailed or put on any server. It holds
no time and no host, and the same artifacts give the same page. Made for this project.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from safetensors import safe_open

from pipeline.artifact import Artifact, read, read_json, store_path
from pipeline.config import ReportSettings
from pipeline.errors import PipelineError, VideoError
from pipeline.progress import track
from pipeline.report.clips import data_uri
from pipeline.report.curves import draw_curves, read_curves
from pipeline.report.dag import draw_dag
from pipeline.schemas import FRAMES, GRAPHS, MOTION, NODES, SPATIAL_GRAPHS, TEMPORAL_GRAPHS
from pipeline.stages.score_captions import METRICS

SPLITS = ("train", "val", "test")
SCHEMAS = {schema.name: schema for schema in (FRAMES, MOTION, NODES, SPATIAL_GRAPHS, TEMPORAL_GRAPHS, GRAPHS)}
VERSIONS = ("clipgraph", "snakemake", "torch", "torch_geometric", "open_clip_torch", "decord2", "zarr", "pycocoevalcap")


def run(
    *,
    scores: list[Path],
    captions: list[Path],
    curves: list[Path],
    references: list[Path],
    videos: list[Path],
    artifacts: list[Path],
    weights: list[Path],
    retrieval: list[Path],
    config: str,
    settings: ReportSettings,
    out: Path,
) -> None:
    """Write the report page.

    Names of experiments, splits, data sets and encoders are read off the artifacts' paths, so each flag takes any
    number of files in any order.

    Args:
        scores: scores.json of experiments and splits.
        captions: Generated captions of the same experiments and splits.
        curves: curves.csv of the experiments.
        references: captions.json of the data sets.
        videos: Video tables of the data sets.
        artifacts: Stores of the data sets: frames, motion, nodes and graphs.
        weights: Weights of the encoders.
        retrieval: Retrieval scores of the fine-tuned encoders.
        config: The whole configuration as JSON.
        settings: What the page shows.
        out: The page.
    """
    whole = json.loads(config)
    stores = [read_store(path) for path in artifacts]
    files = video_files(videos)
    generated = by_experiment(captions, ["captions"], "generate_captions")
    encoders = [describe_encoder(path, retrieval) for path in sorted(weights)]
    tables = {path.parent.name: read_json(path, ["captions", "splits"], "index_captions") for path in references}
    datasets = {}
    for name, table in sorted(tables.items()):
        datasets[name] = describe_dataset(table, predictions_of(name, generated, whole), settings.videos)
        datasets[name]["clips"] = list(show_clips(datasets[name]["shown"], files.get(name, {})))
    counts = Counter(store.artifact.schema.stage for store in stores)
    counts |= {
        "make_shapes": sum(whole["datasets"][path.parent.parent.name]["kind"] == "shapes" for path in videos),
        "index_videos": len(videos),
        "index_captions": len(references),
        "finetune_clip4clip": len(retrieval),
        "import_weights": len(weights) - len(retrieval),
        "build_vocabulary": len({whole["experiments"][path.parent.name]["vocabulary"] for path in curves}),
        "train_captioner": len(curves),
        "generate_captions": len(captions),
        "score_captions": len(scores),
        "write_report": 1,
    }
    is_imported = any(whole["encoders"][e["name"]]["kind"] == "clip4clip" and not e["retrieval"] for e in encoders)
    page = render(
        {
            "experiments": {name: whole["experiments"][name] for name in sorted(generated)},
            "settings_yaml": yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, default_flow_style=None),
            "metrics": METRICS,
            "scores": by_experiment(scores, ["metrics", "num_videos", "num_covered"], "score_captions"),
            "curves": {path.parent.name: draw_curves(found) for path in sorted(curves) if (found := read_curves(path))},
            "encoders": encoders,
            "dag": Markup(draw_dag(counts, is_imported)),  # our own drawing: its text is escaped
            "stores": summarise(stores),
            "failures": list_failures(stores),
            "datasets": datasets,
            "versions": {name: version(name) for name in VERSIONS},
        }
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    new = out.with_name(f".{out.name}.new")
    new.write_text(page, encoding="utf-8")
    new.replace(out)
    print(f"{out}: {len(page) / 1e6:.1f} MB")


@dataclass(frozen=True)
class Store:
    """A Zarr artifact and what its path tells.

    Attributes:
        dataset: The data set it belongs to.
        name: Its kind and variant, such as `nodes/grid`.
        artifact: What it holds.
        num_bytes: Its size on disk.
    """

    dataset: str
    name: str
    artifact: Artifact
    num_bytes: int


def read_store(path: Path) -> Store:
    """Open an artifact at `.../datasets/{dataset}/{kind}/.../{shard}.zarr`.

    Raises:
        PipelineError: The path does not say what the artifact is.
    """
    store = store_path(path)
    parts = store.parts
    start = len(parts) - parts[::-1].index("datasets") if "datasets" in parts else len(parts)
    if len(parts) < start + 3 or parts[start + 1] not in SCHEMAS:
        raise PipelineError(
            f"--artifacts {path}: expected a path datasets/<data set>/<kind>/.../<shard>.zarr with one of the kinds "
            f"{', '.join(SCHEMAS)}"
        )
    artifact = read(store, SCHEMAS[parts[start + 1]])
    num_bytes = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    return Store(parts[start], "/".join(parts[start + 1 : -1]), artifact, num_bytes)


def video_files(tables: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """Where the videos of each data set are, from its video tables at `datasets/{dataset}/videos/{shard}.json`."""
    files: dict[str, dict[str, Path]] = {}
    for path in tables:
        table = read_json(path, ["videos", "root"], "index_videos")
        root = Path(table["root"])
        found = {video["id"]: root / video["path"] for video in table["videos"]}
        files.setdefault(path.parent.parent.name, {}).update(found)
    return files


def by_experiment(paths: Sequence[Path], keys: Sequence[str], stage: str) -> dict[str, dict[str, Any]]:
    """Read files at `experiments/{experiment}/{split}/...` as experiment -> split -> content, splits in their order."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(paths, key=lambda path: (path.parent.parent.name, SPLITS.index(path.parent.name))):
        found.setdefault(path.parent.parent.name, {})[path.parent.name] = read_json(path, keys, stage)
    return found


def predictions_of(
    dataset: str, generated: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any]
) -> dict[str, dict[str, str]]:
    """Test captions of the experiments on a data set: experiment -> video -> caption."""
    return {
        experiment: splits["test"]["captions"]
        for experiment, splits in generated.items()
        if "test" in splits and config["experiments"][experiment]["dataset"] == dataset
    }


def describe_dataset(
    table: Mapping[str, Any], predictions: Mapping[str, Mapping[str, str]], num_shown: int
) -> dict[str, Any]:
    """What the page says of a data set; `shown` are the test videos whose clips it plays."""
    test = table["splits"].get("test", [])
    captioned = [i for i in test if any(i in captions for captions in predictions.values())]
    return {
        "splits": {split: len(table["splits"].get(split, [])) for split in SPLITS},
        "test": test,
        "shown": spread(captioned, num_shown),
        "references": table["captions"],
        "predictions": predictions,
    }


def spread(ids: Sequence[str], count: int) -> list[str]:
    """Choose `count` ids at equal distances, whatever they score; all of them if there are fewer."""
    count = min(count, len(ids))
    return [ids[i * len(ids) // count] for i in range(count)]


def show_clips(ids: Sequence[str], files: Mapping[str, Path]) -> Iterator[dict[str, str]]:
    """Make the clips to play: id and either the video's data or the problem with it."""
    for video_id in track(ids, len(ids), "write_report: clips"):
        if video_id not in files:
            yield {"id": video_id, "problem": "no video table lists it"}
            continue
        try:
            yield {"id": video_id, "src": data_uri(files[video_id])}
        except VideoError as error:
            yield {"id": video_id, "problem": str(error)}


def describe_encoder(weights: Path, retrieval: Sequence[Path]) -> dict[str, Any]:
    """Name, kind, origin and retrieval scores of the encoder at `encoders/{encoder}/weights.safetensors`."""
    with safe_open(weights, framework="numpy") as file:
        metadata = file.metadata() or {}
    name = weights.parent.name
    own = [path for path in retrieval if path.parent.name == name]
    origin = metadata.get("origin", "unknown")
    return {
        "name": name,
        "kind": metadata.get("kind", "unknown"),
        "origin": origin,
        "is_untrained": origin.startswith("random"),
        "retrieval": read_json(own[0], ["best"], "finetune_clip4clip") if own else None,
    }


def summarise(stores: Sequence[Store]) -> list[dict[str, Any]]:
    """Add up the shards of each artifact: videos, failures, and bytes a video."""
    rows = []
    order = list(SCHEMAS)
    stores = sorted(stores, key=lambda store: (store.dataset, order.index(store.artifact.schema.name), store.name))
    for dataset, name in dict.fromkeys((store.dataset, store.name) for store in stores):
        shards = [store for store in stores if (store.dataset, store.name) == (dataset, name)]
        num_videos = sum(len(shard.artifact.ids) for shard in shards)
        rows.append(
            {
                "dataset": dataset,
                "name": name,
                "stage": shards[0].artifact.schema.stage,
                "num_shards": len(shards),
                "num_videos": num_videos,
                "num_failed": sum(len(shard.artifact.failed) for shard in shards),
                "bytes_per_video": sum(shard.num_bytes for shard in shards) / max(1, num_videos),
            }
        )
    return rows


def list_failures(stores: Sequence[Store]) -> list[dict[str, str]]:
    """List each video that was left out once, with the first stage that did so and its reason."""
    order = list(SCHEMAS)
    failures: dict[tuple[str, str], dict[str, str]] = {}
    for store in sorted(stores, key=lambda store: order.index(store.artifact.schema.name)):
        for video_id, reason in store.artifact.failed.items():
            row = {"dataset": store.dataset, "id": video_id, "stage": store.artifact.schema.stage, "reason": reason}
            failures.setdefault((store.dataset, video_id), row)
    return [failures[key] for key in sorted(failures)]


def render(content: Mapping[str, Any]) -> str:
    """Fill the template in; everything but our own drawing is escaped."""
    environment = Environment(
        loader=PackageLoader("pipeline", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(content)

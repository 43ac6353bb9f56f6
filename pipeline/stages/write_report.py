"""Write one self-contained page about every experiment: scores, curves, stages, captioned clips, what was left out.

The page loads nothing from anywhere: clips and pictures stand in it, so it can be mailed or put on any server. It holds
no time and no host, and the same artifacts give the same page. Made for this project.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup
from safetensors import safe_open

from pipeline.artifact import read_json
from pipeline.artifact.video_table import Clip, read_clips
from pipeline.config import ReportSettings
from pipeline.errors import VideoError
from pipeline.jobs.progress import track
from pipeline.jobs.storage import replaced
from pipeline.report.clips import data_uri
from pipeline.report.comparison import SPLITS, compare
from pipeline.report.curves import draw_curves, read_curves
from pipeline.report.dag import draw_dag
from pipeline.report.page import fill_in
from pipeline.report.stores import list_failures, list_suspects, read_store, summarise
from pipeline.scoring.statistics import METRICS

DETECTION = ("average_precision", "mean_average_precision", "num_frames", "overlap")
EMBEDDING = ("model", "num_entities", "num_relations", "num_triplets", "filtered")
VERSIONS = ("clipgraph", "snakemake", "torch", "torch_geometric", "open_clip_torch", "decord2", "zarr", "pycocoevalcap")


def run(
    *,
    scores: list[Path],
    akg_scores: list[Path],
    captions: list[Path],
    curves: list[Path],
    references: list[Path],
    videos: list[Path],
    artifacts: list[Path],
    weights: list[Path],
    retrieval: list[Path],
    detection: list[Path],
    embedding: list[Path],
    config: str,
    settings: ReportSettings,
    out: Path,
) -> None:
    """Write the report page.

    Names of experiments, splits, data sets and encoders are read off the artifacts' paths, so each flag takes any
    number of files in any order, and some of them twice where experiments share them.

    Args:
        scores: scores.json of experiments and splits.
        akg_scores: Scores of the same in AKG-sv's way; nothing unless asked for.
        captions: Generated captions of the same experiments and splits.
        curves: curves.csv of the experiments.
        references: captions.json of the data sets.
        videos: Video tables of the data sets.
        artifacts: Stores of the data sets: frames, motion, appearance, nodes, graphs and knowledge.
        weights: Weights of the encoders.
        retrieval: Retrieval scores of the fine-tuned encoders.
        detection: Average precision of the fine-tuned detectors.
        embedding: Scores of the embeddings of knowledge graphs.
        config: The whole configuration as JSON.
        settings: What the page shows.
        out: The page.
    """
    whole = json.loads(config)
    names = settings.experiments
    stores = [read_store(path) for path in _each_once(artifacts)]
    clips = clips_of(_each_once(videos))
    generated = by_experiment(captions, ["captions"], "generate_captions", names)
    scored = by_experiment(scores, ["metrics", "num_videos", "num_covered", "statistics"], "score_captions", names)
    encoders = [describe_encoder(path, retrieval, detection) for path in sorted(_each_once(weights))]
    tables = {path.parent.name: read_json(path, ["captions", "splits"], "index_captions") for path in references}
    datasets = {}
    for name, table in sorted(tables.items()):
        datasets[name] = describe_dataset(table, predictions_of(name, generated, whole), settings.videos)
        datasets[name]["clips"] = list(show_clips(datasets[name]["shown"], clips.get(name, {})))
        own = {e: splits for e, splits in scored.items() if whole["experiments"][e]["dataset"] == name}
        datasets[name]["comparison"] = compare(own, settings.resamples)
    made = Counter(store.stage for store in stores)
    made |= {
        "make_shapes": sum(whole["datasets"][path.parent.parent.name]["kind"] == "shapes" for path in set(videos)),
        "index_videos": len(set(videos)),
        "index_captions": len(set(references)),
        "finetune_clip4clip": len(set(retrieval)),
        "finetune_detector": len(set(detection)),
        "import_weights": len(encoders) - len(set(retrieval)) - len(set(detection)),
        "extract_triplets": len(set(embedding)),
        "embed_knowledge": len(set(embedding)),
        "build_vocabulary": len({whole["experiments"][path.parent.name]["vocabulary"] for path in curves}),
        "train_captioner": len(curves),
        "generate_captions": len(captions),
        "score_captions": len(scores),
        "score_akg": len(akg_scores),
        "write_report": 1,
    }
    counts = dict(made)
    is_imported = any(whole["encoders"][e["name"]]["kind"] == "clip4clip" and not e["retrieval"] for e in encoders)
    page = fill_in(
        "report.html.j2",
        {
            "experiments": {name: whole["experiments"][name] for name in generated},
            "settings_yaml": yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, default_flow_style=None),
            "metrics": METRICS,
            "scores": scored,
            "akg_scores": by_experiment(akg_scores, ["metrics", "num_videos", "num_covered"], "score_akg", names),
            "num_resamples": settings.resamples,
            "embeddings": describe_embeddings(embedding),
            "curves": {path.parent.name: draw_curves(found) for path in sorted(curves) if (found := read_curves(path))},
            "encoders": encoders,
            "dag": Markup(draw_dag(counts, is_imported)),  # our own drawing: its text is escaped
            "stores": summarise(stores),
            "failures": list_failures(stores),
            "suspects": list_suspects(stores),
            "datasets": datasets,
            "versions": {name: version(name) for name in VERSIONS},
        },
    )
    with replaced(out) as new:
        new.write_text(page, encoding="utf-8")
    print(f"{out}: {len(page) / 1e6:.1f} MB")


def clips_of(tables: Sequence[Path]) -> dict[str, dict[str, Clip]]:
    """Where the clips of each data set are, from its video tables at `datasets/{dataset}/videos/{shard}.json`."""
    clips: dict[str, dict[str, Clip]] = {}
    for path in tables:
        clips.setdefault(path.parent.parent.name, {}).update(read_clips(path))
    return clips


def by_experiment(
    paths: Sequence[Path], keys: Sequence[str], stage: str, order: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Read files at `experiments/{experiment}/{split}/...` as experiment -> split -> content.

    Args:
        paths: The files.
        keys: What each must hold.
        stage: The stage that makes them.
        order: Of the experiments; splits come in their own order.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(paths, key=lambda path: (order.index(path.parent.parent.name), SPLITS.index(path.parent.name))):
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
        "missing": table.get("missing", []),
        "shown": spread(captioned, num_shown),
        "references": table["captions"],
        "predictions": predictions,
    }


def spread(ids: Sequence[str], count: int) -> list[str]:
    """Choose `count` ids at equal distances, whatever they score; all of them if there are fewer."""
    count = min(count, len(ids))
    return [ids[i * len(ids) // count] for i in range(count)]


def show_clips(ids: Sequence[str], clips: Mapping[str, Clip]) -> Iterator[dict[str, str]]:
    """Make the clips to play: id and either the video's data or the problem with it."""
    for video_id in track(ids, len(ids), "write_report: clips"):
        if video_id not in clips:
            yield {"id": video_id, "problem": "no video table lists it"}
            continue
        try:
            yield {"id": video_id, "src": data_uri(clips[video_id].file, clips[video_id].interval)}
        except VideoError as error:
            yield {"id": video_id, "problem": str(error)}


def describe_encoder(weights: Path, retrieval: Sequence[Path], detection: Sequence[Path]) -> dict[str, Any]:
    """Name, kind, origin, retrieval and detection scores of the encoder at `encoders/{encoder}/weights.safetensors`."""
    with safe_open(weights, framework="numpy") as file:
        metadata = file.metadata() or {}
    name = weights.parent.name
    retrieved = [path for path in retrieval if path.parent.name == name]
    detected = [path for path in detection if path.parent.name == name]
    origin = metadata.get("origin", "unknown")
    return {
        "name": name,
        "kind": metadata.get("kind", "unknown"),
        "origin": origin,
        "is_untrained": origin.startswith("random"),
        "retrieval": read_json(retrieved[0], ["best"], "finetune_clip4clip") if retrieved else None,
        "detection": read_json(detected[0], DETECTION, "finetune_detector") if detected else None,
    }


def describe_embeddings(scores: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Scores of the graph embeddings, from `knowledge/{knowledge}/scores.json`."""
    return {path.parent.name: read_json(path, EMBEDDING, "embed_knowledge") for path in sorted(set(scores))}


def _each_once(paths: Sequence[Path]) -> list[Path]:
    return list(dict.fromkeys(paths))

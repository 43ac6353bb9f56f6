"""Write one self-contained page about every experiment: scores, curves, stages, clips, what was left out.

The page loads nothing from elsewhere: clips and pictures are in it, so it can be mailed or put on any server. It holds
no time and no host: the same artifacts, configuration and library versions give the same page. The page was designed
for this project.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from pipeline.artifact import read_json
from pipeline.config import ReportSettings
from pipeline.config.experiments import CAPTIONED, CAPTIONING
from pipeline.jobs.storage import replaced
from pipeline.report.artifacts import ByKind, of_first_seed, read_by_experiment, sort_by_kind
from pipeline.report.comparison import compare
from pipeline.report.curves import Points, chosen_by_loss, draw_curves, read_curves
from pipeline.report.dag import Stage, draw_dag
from pipeline.report.datasets import clips_of, describe_dataset, predictions_of, show_clips
from pipeline.report.encoders import describe_embeddings, describe_encoders
from pipeline.report.others import describe_bounds, describe_clip_scores, describe_external, published_captions
from pipeline.report.page import fill_in
from pipeline.report.recognition import describe_recognition
from pipeline.report.stores import list_failures, list_suspects, read_stores, summarise
from pipeline.scoring.clip_scores import METRICS as CLIP_METRICS
from pipeline.scoring.statistics import METRICS
from pipeline.workflow.own_version import version
from pipeline.workflow.paths import Located
from pipeline.workflow.shown import shown_split
from pipeline.workflow.trials import experiment_of, seed_of, trials_of

VERSIONS = ("clipgraph", "snakemake", "torch", "torch_geometric", "open_clip_torch", "decord2", "zarr", "pycocoevalcap")
SCORED = ("metrics", "num_videos", "num_covered")


def run(*, artifacts: Path, config: str, settings: ReportSettings, stages: dict[str, Stage], out: Path) -> None:
    """Write the report page.

    Args:
        artifacts: A list of the artifacts that the page describes, a path a line, in any order, perhaps twice where
            experiments share them: scores, captions, tables, regions and curves of the experiments, captions, labels,
            video tables and stores of the data sets, weights and scores of the encoders, and scores of the embeddings
            of knowledge. Their paths say which is which.
        config: The whole configuration as JSON.
        settings: The experiments and how many videos the page shows, and how often scores are resampled.
        stages: The stages that made the artifacts, with their jobs and what they read, as the rules have them.
        out: Where the page goes (HTML).

    Raises:
        PipelineError: An artifact has the path of none, or cannot be read.
    """
    whole = json.loads(config)
    found = sort_by_kind(map(Path, artifacts.read_text(encoding="utf-8").splitlines()))
    stores = read_stores(found)
    trials = [trial for name in settings.experiments for trial in trials_of(name, whole["experiments"][name]["seeds"])]
    generated = of_first_seed(read_by_experiment(found["generated"], ["captions"], "generate_captions", trials))
    of_captioners = [f for f in found["scores"] if kind_of(f, whole) in CAPTIONED]
    scored = read_by_experiment(of_captioners, [*SCORED, "statistics", "notes"], "score_captions", trials)
    page = fill_in(
        "report.html.j2",
        {
            "num_seeds": [len(whole["experiments"][name]["seeds"]) for name in scored] or [1],
            "experiments": {name: whole["experiments"][name] for name in generated},
            "settings_yaml": yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, default_flow_style=None),
            "metrics": METRICS,
            "scores": of_first_seed(scored),
            "external": describe_external(generated, whole),
            "clip_metrics": CLIP_METRICS,
            "clip_scores": describe_clip_scores(found, whole, settings, trials),
            "judge": settings.clip_scores,
            "notes": list_notes(scored),
            "choices": list_choices(found["curves"], whole),
            "akg_scores": read_by_experiment(found["akg_scores"], SCORED, "score_akg", trials),
            "num_resamples": settings.resamples,
            "embeddings": describe_embeddings(found["embedding_scores"]),
            "curves": draw_trainings(found["curves"], whole),
            "encoders": describe_encoders(found),
            "dag": Markup(draw_dag(stages)),  # draw_dag escapes the text in its picture
            "stores": summarise(stores),
            "failures": list_failures(stores),
            "suspects": list_suspects(stores),
            "datasets": describe_datasets(found, generated, scored, whole, settings),
            "labelled": describe_recognition(found, whole, settings, trials),
            "recognizers": [e for e in settings.experiments if whole["experiments"][e]["kind"] not in CAPTIONED],
            "versions": {name: version(name) for name in VERSIONS},
        },
    )
    with replaced(out) as new:
        new.write_text(page, encoding="utf-8")
    print(f"{out}: {len(page) / 1e6:.1f} MB")


def describe_datasets(
    found: ByKind,
    generated: Mapping[str, Mapping[str, Any]],
    scored: Mapping[str, Mapping[str, Sequence[Any]]],
    config: Mapping[str, Any],
    settings: ReportSettings,
) -> dict[str, dict[str, Any]]:
    """Make the page's section of every data set, with its clips and the experiments on it side by side.

    Args:
        found: The artifacts by kind.
        generated: Experiment to split to the content of its first seed's captions.json.
        scored: Experiment to split to the content of each seed's scores.json.
        config: The whole configuration.
        settings: How many videos the page shows, and how often scores are resampled.

    Returns:
        For each data set what `describe_dataset` says of it, with `clips`, `comparison`, `bounds` (see
        `describe_bounds`) and `published`.
    """
    clips = clips_of(found["videos"])
    bounds = describe_bounds(found, settings.resamples)
    datasets = {}
    for located in found["captions"]:
        name = located.names["dataset"]
        table = read_json(located.path, ["captions", "splits"], "index_captions")
        split = shown_split(config["datasets"][name])
        described = describe_dataset(table, predictions_of(name, generated, config), settings.videos, split)
        own = {e: splits for e, splits in scored.items() if config["experiments"][e]["dataset"] == name}
        datasets[name] = described | {
            "clips": list(show_clips(described["shown"], clips.get(name, {}))),
            "comparison": compare(own, settings.resamples),
            "bounds": bounds.get(name, {}),
            "published": published_captions(settings, name),
        }
    return datasets


def list_notes(scored: Mapping[str, Mapping[str, Sequence[Any]]]) -> list[tuple[str, str, str]]:
    """List the notes of scoring as experiment, split and note; a note that several seeds have is listed once."""
    notes = [
        (name, split, note)
        for name, splits in scored.items()
        for split, seeds in splits.items()
        for seed in seeds
        for note in seed["notes"]
    ]
    return list(dict.fromkeys(notes))


def kind_of(file: Located, config: Mapping[str, Any]) -> str:
    """Kind of the experiment that a file of a trial belongs to."""
    return str(config["experiments"][experiment_of(file.names["trial"])]["kind"])


def list_choices(files: Sequence[Located], config: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """List the trainings whose score could not tell epochs apart, as experiment, split and note.

    Args:
        files: The tables that training wrote, one a trial.
        config: The whole configuration.
    """
    chosen = [(file, chosen_by_loss(file.path)) for file in files]
    note = "several epochs had the best {}, so that the validation loss chose the model, that of epoch"
    scores = {"recognition": "top-1"} | dict.fromkeys(CAPTIONING, "CIDEr")
    return [
        (file.names["trial"], "val", f"{note.format(scores[kind_of(file, config)])} {epoch}")
        for file, epoch in chosen
        if epoch is not None
    ]


def draw_trainings(files: Sequence[Located], config: Mapping[str, Any]) -> dict[str, str]:
    """Draw the training curves of each experiment, with a line for each seed.

    Args:
        files: The tables that training wrote, one a trial.
        config: The whole configuration.

    Returns:
        For each experiment that has any curve, its picture as the `src` of an image.
    """
    curves: dict[str, dict[int, dict[str, Points]]] = {}
    for file in files:
        experiment = experiment_of(file.names["trial"])
        seed = seed_of(file.names["trial"], config["experiments"][experiment]["seeds"])
        if read := read_curves(file.path):
            curves.setdefault(experiment, {})[seed] = read
    return {experiment: draw_curves(seeds) for experiment, seeds in curves.items()}

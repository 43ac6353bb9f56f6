"""Write a folder with a page about every experiment: scores, videos with captions, curves, stages, what was left out.

The page needs no server and asks nothing of any: what it shows lies beside it, so the folder can be mailed or put
anywhere. Without JavaScript scores and captions are tables. It holds no time of day and no host: the same artifacts,
configuration, logs and code give the same page. The page was designed for this project.
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
from pipeline.report.comparison import MEANS, all_differences, compare
from pipeline.report.curves import Training, chosen_by_loss, draw_curves, read_training
from pipeline.report.dag import Stage, draw_dag
from pipeline.report.datasets import describe_dataset, predictions_of
from pipeline.report.encoders import describe_embeddings, describe_encoders
from pipeline.report.folder import HERE, renew, write_script
from pipeline.report.language import describe_language, reference_lengths
from pipeline.report.made import changed_settings, commit_of, default_settings, describe_stages, notes_of
from pipeline.report.others import (
    clip_metrics,
    describe_bounds,
    describe_clip_scores,
    describe_external,
    published_captions,
)
from pipeline.report.page import fill_in
from pipeline.report.recognition import describe_recognition
from pipeline.report.relevance import describe_faithfulness, write_maps
from pipeline.report.stores import list_failures, list_suspects, read_stores, summarise
from pipeline.report.videos import floor_reached, headline, show_videos
from pipeline.scoring.statistics import METRICS
from pipeline.workflow.own_version import version
from pipeline.workflow.paths import Located
from pipeline.workflow.shown import shown_split
from pipeline.workflow.trials import experiment_of, seed_of, trials_of

VERSIONS = ("clipgraph", "snakemake", "torch", "torch_geometric", "open_clip_torch", "decord2", "zarr", "pycocoevalcap")
SHOWN = ("CIDEr", "Bleu_4", "METEOR", "ROUGE_L", "Bleu_1", "Bleu_2", "Bleu_3")  # metrics, those of most papers first
SCORED = ("metrics", "num_videos", "num_covered")


def run(
    *, artifacts: Path, config: str, settings: ReportSettings, stages: dict[str, Stage], logs: Path, out: Path
) -> None:
    """Write the report page, and beside it `data.js`, `page.js`, `vendor/`, `media/` and `maps/`.

    Args:
        artifacts: A list of the artifacts that the page describes, a path a line, in any order, perhaps twice where
            experiments share them: scores, captions, tables, regions and curves of the experiments, captions, labels,
            video tables and stores of the data sets, weights and scores of the encoders, and scores of the embeddings
            of knowledge. Their paths say which is which.
        config: The whole configuration as JSON.
        settings: The experiments and how many videos the page shows, and how often scores are resampled.
        stages: The stages that made the artifacts, with their jobs and what they read, as the rules have them.
        logs: The folder of logs, for what each stage took; it need not be there.
        out: Where the page goes (HTML). What an earlier page had beside it is removed.

    Raises:
        PipelineError: An artifact has the path of none, or cannot be read.
    """
    whole = json.loads(config)
    found = sort_by_kind(map(Path, artifacts.read_text(encoding="utf-8").splitlines()))
    stores = read_stores(found)
    failures, suspects = list_failures(stores), list_suspects(stores)
    trials = [trial for name in settings.experiments for trial in trials_of(name, whole["experiments"][name]["seeds"])]
    generated = of_first_seed(read_by_experiment(found["generated"], ["captions"], "generate_captions", trials))
    of_captioners = [f for f in found["scores"] if kind_of(f, whole) in CAPTIONED]
    scored = read_by_experiment(of_captioners, [*SCORED, "statistics", "notes"], "score_captions", trials)
    trainings = read_trainings(found["curves"], whole)
    renew(out.parent)
    datasets = describe_datasets(found, generated, scored, whole, settings)
    maps = write_maps(found, whole, settings.explanations, out.parent)
    for name, dataset in datasets.items():
        of_first, explained = of_first_seed(scored), maps.get(name, {})
        dataset |= show_videos(name, dataset, found, of_first, failures, suspects, explained, out.parent)
    faithfulness = describe_faithfulness(found, settings.explanations)
    defaults = default_settings()
    made = describe_stages(stages, logs, stores)
    page = fill_in(
        "report.html.j2",
        {
            "style": Markup((HERE / "page.css").read_text(encoding="utf-8")),  # our own, with nothing filled in
            "num_seeds": [len(whole["experiments"][name]["seeds"]) for name in scored] or [1],
            "experiments": {name: whole["experiments"][name] for name in generated},
            "settings_yaml": yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, default_flow_style=None),
            "changed": None if defaults is None else changed_settings(whole, defaults),
            "metrics": SHOWN,
            "external": describe_external(generated, whole),
            "clip_metrics": clip_metrics(settings),
            "clip_scores": describe_clip_scores(found, whole, settings, trials),
            "judge": settings.clip_scores,
            "notes": list_notes(scored),
            "choices": list_choices(found["curves"], whole),
            "akg_scores": read_by_experiment(found["akg_scores"], SCORED, "score_akg", trials),
            "num_resamples": settings.resamples,
            "embeddings": describe_embeddings(found["embedding_scores"]),
            "curves": {name: draw_curves(seeds) for name, seeds in trainings.items()},
            "encoders": describe_encoders(found, out.parent),
            "dag": Markup(draw_dag(stages, notes_of(made))),  # draw_dag escapes the text in its picture
            "stages": made,
            "commit": commit_of(),
            "stores": summarise(stores),
            "failures": failures,
            "suspects": suspects,
            "datasets": datasets,
            "labelled": describe_recognition(found, whole, settings, trials, out.parent),
            "recognizers": [e for e in settings.experiments if whole["experiments"][e]["kind"] not in CAPTIONED],
            "faithfulness": faithfulness,
            "versions": {name: version(name) for name in VERSIONS},
        },
    )
    write_script(out.parent / "data.js", "data", data_of(datasets, trainings, faithfulness))
    with replaced(out) as new:
        new.write_text(page, encoding="utf-8")
    beside = sum(file.stat().st_size for file in out.parent.joinpath("media").rglob("*") if file.is_file())
    data = (out.parent / "data.js").stat().st_size
    print(f"{out}: {(len(page) + data) / 1e6:.1f} MB, and clips of {beside / 1e6:.1f} MB beside it")


def describe_datasets(
    found: ByKind,
    generated: Mapping[str, Mapping[str, Any]],
    scored: Mapping[str, Mapping[str, Sequence[Any]]],
    config: Mapping[str, Any],
    settings: ReportSettings,
) -> dict[str, dict[str, Any]]:
    """Compare the experiments on every data set.

    Args:
        found: The artifacts by kind.
        generated: Experiment to split to the content of its first seed's captions.json.
        scored: Experiment to split to the content of each seed's scores.json.
        config: The whole configuration.
        settings: How many videos the page shows, and how often scores are resampled.

    Returns:
        For each data set what `describe_dataset` says of it, with `kind`, `comparison`, `differences` (of each two
        experiments on the split that is shown), `headline`, `floor` (see `floor_reached`), `language`,
        `reference_lengths`, `bounds` (see `describe_bounds`), `published`, and `most`: split to metric to the largest
        figure, where bars end.
    """
    bounds = describe_bounds(found, settings.resamples)
    datasets = {}
    for located in found["captions"]:
        name = located.names["dataset"]
        table = read_json(located.path, ["captions", "splits"], "index_captions")
        split = shown_split(config["datasets"][name])
        described = describe_dataset(table, predictions_of(name, generated, config), settings.videos, split)
        own = {e: splits for e, splits in scored.items() if config["experiments"][e]["dataset"] == name}
        comparison = compare(own, settings.resamples)
        differences = all_differences(own, split, settings.resamples)
        references = {i: table["captions"].get(i, []) for i in described["ids"]}
        figures = {row["experiment"]: {key: row[key] for key in MEANS} for row in comparison.get(split, [])}
        told = headline(comparison.get(split, []), differences)
        datasets[name] = described | {
            "kind": config["datasets"][name]["kind"],
            "comparison": comparison,
            "differences": differences,
            "headline": told,
            "floor": floor_reached(told, bounds.get(name, {}).get(split, [])),
            "language": {e: describe_language(c, references) | figures[e] for e, c in described["predictions"].items()},
            "reference_lengths": reference_lengths(references),
            "bounds": bounds.get(name, {}),
            "published": published_captions(settings, name),
            "most": {s: largest([*rows, *bounds.get(name, {}).get(s, [])]) for s, rows in comparison.items()},
        }
    return datasets


def data_of(
    datasets: Mapping[str, Mapping[str, Any]],
    trainings: Mapping[str, Mapping[int, Training]],
    faithfulness: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """What the page's script knows, as plain values: `datasets`, `curves` and `removal`."""
    return {
        "datasets": {
            name: {
                "split": dataset["split"],
                "experiments": list(dataset["predictions"]),
                "differences": dataset["differences"],
                "videos": dataset["rows"],
            }
            for name, dataset in datasets.items()
        },
        "curves": {
            name: [{"seed": seed, "kept": of.kept, "curves": of.curves} for seed, of in seeds.items()]
            for name, seeds in trainings.items()
        },
        "removal": {name: told["curves"] for name, told in faithfulness.items()},
    }


def largest(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The largest figure of each metric, upper ends of intervals among them: where the bars of a table end."""
    return {
        metric: max(max(row["cells"][metric]["interval"] or (row["cells"][metric]["value"],)) for row in rows)
        for metric in METRICS
    }


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


def read_trainings(files: Sequence[Located], config: Mapping[str, Any]) -> dict[str, dict[int, Training]]:
    """Read the training curves of each experiment that has any, by seed.

    Args:
        files: The tables that training wrote, one a trial.
        config: The whole configuration.
    """
    trainings: dict[str, dict[int, Training]] = {}
    for file in files:
        experiment = experiment_of(file.names["trial"])
        seed = seed_of(file.names["trial"], config["experiments"][experiment]["seeds"])
        read = read_training(file.path)
        if read.curves:
            trainings.setdefault(experiment, {})[seed] = read
    return trainings

"""The jobs of recognition experiments: what stands on what, and what views re-run."""

import json
from pathlib import Path

import pytest
import yaml
from toys.labelled_clips import SIMPLE, settings
from toys.project_sources import copy_sources
from toys.recognizers import DYREG
from toys.sync_mnist import PUBLISHED, RAW
from toys.tiny_project import Project

PROBE = {
    "kind": "probe", "features": "first", "head": "linear", "heads": 1, "dropout": 0.0,
    "training": {"epochs": 1, "batch_size": 7, "lr": 0.1, "weight_decay": 0.0, "per_class": None, "patience": None},
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A recognizer; one that begins with its backbone and whose regions two others teach; and a probe."""
    copy_sources(tmp_path)
    first = json.loads(settings().model_dump_json())
    kick_start = {"teachers": {"conv2": "first", "conv1": "second"}, "share": 0.1, "weight": 1.0}
    taught = json.loads(settings({"kick_start": kick_start}).model_dump_json())
    taught["backbone"] = SIMPLE | {"weights": {"experiment": "first"}}
    experiment = {"kind": "recognition", "dataset": "digits", "clipping": "raw", "recognizer": "first", "seeds": [1]}
    names = {"first": {}, "second": {}, "taught": {"recognizer": "taught"}, "probe": {"recognizer": "probe"}}
    config = {
        "datasets": {"digits": PUBLISHED | {"shards": 2}},
        "clippings": {"raw": RAW.model_dump(mode="json")},
        "recognizers": {"first": first, "taught": taught, "probe": PROBE},
        "experiments": {name: experiment | changed for name, changed in names.items()},
        "report": {"experiments": ["probe"]},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return Project(tmp_path)


def test_all_makes_the_scores_of_a_probe_from_the_features_of_another_experiment(project: Project) -> None:
    jobs = project.jobs()
    assert {f"score_recognizer probe {split}" for split in ("val", "test")} <= jobs
    assert {f"extract_features digits first 00{shard}" for shard in range(2)} <= jobs
    assert {"train_recognizer first", "train_recognizer probe", "describe_experiment probe", "write_report"} <= jobs
    assert not {job for job in jobs if "captioner" in job or "taught" in job or "second" in job}


def test_a_recognizer_begins_with_another_and_is_taught_in_the_order_of_places(project: Project) -> None:
    model = "results/experiments/taught/model.safetensors"
    output = project.run("--dry-run", "--printshellcmds", model)
    commands = output.split("python -m pipeline.jobs.ranks")
    (command,) = [command for command in commands if "--checkpoints checkpoints/taught" in command]
    assert "--weights results/experiments/first/model.safetensors" in command
    taught = [f"results/experiments/{name}/model.safetensors" for name in ("second", "first")]  # conv1, then conv2
    assert f"--teachers {' '.join(taught)}" in " ".join(command.split())


def test_a_teacher_that_is_no_experiment_is_a_mistake_in_words(project: Project) -> None:
    project.configure(recognizers={"taught": {"training": {"kick_start": {"teachers": {"conv1": "fist"}}}}})
    done = project.snakemake("--dry-run")
    assert (
        "`recognizers.taught.training.kick_start.teachers.conv1: fist`: no experiment of kind recognition: did you "
        "mean `first`?" in done.stdout
    )


def test_the_report_shows_regions_of_the_split_that_it_shows_where_there_are_modules(project: Project) -> None:
    looking = json.loads(settings(modules=[{**DYREG, "at": "conv2"}]).model_dump_json())
    entry = {"kind": "recognition", "dataset": "digits", "clipping": "raw", "recognizer": "looking", "seeds": [1, 2]}
    project.configure(
        recognizers={"looking": looking},
        experiments={"looking": entry},
        report={"experiments": ["first", "looking"]},
    )
    jobs = project.jobs()
    looks = {job for job in jobs if job.startswith("extract_regions")}
    assert looks == {"extract_regions looking test", "extract_regions looking/seeds/2 test"}
    assert "write_report" in jobs

"""The jobs of recognition experiments: what stands on what, and what views re-run."""

import json
from pathlib import Path

import pytest
import yaml
from toys.experts import CLIP_ARCH, MAE_ARCH, cast_settings
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
    experiment = {
        "kind": "recognition",
        "dataset": "digits",
        "clipping": "raw",
        "recognizer": "first",
        "part": None,
        "seeds": [1],
    }
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
    entry = {
        "kind": "recognition",
        "dataset": "digits",
        "clipping": "raw",
        "recognizer": "looking",
        "part": None,
        "seeds": [1, 2],
    }
    project.configure(
        recognizers={"looking": looking},
        experiments={"looking": entry},
        report={"experiments": ["first", "looking"]},
    )
    jobs = project.jobs()
    looks = {job for job in jobs if job.startswith("extract_regions")}
    assert looks == {"extract_regions looking test", "extract_regions looking/seeds/2 test"}
    assert "write_report" in jobs


ENCODER = {"weights": "random", "seed": 1, "precision": "fp32"}
EXPERTS = {
    "clip": {**ENCODER, "kind": "clip4clip", "arch": CLIP_ARCH, "finetune": None},
    "mae": {**ENCODER, "kind": "videomae", "arch": MAE_ARCH, "pretrain": None},
}


def test_cast_stands_on_two_encoders_and_on_stored_views_where_it_has_some(project: Project) -> None:
    stored = cast_settings(first_block=2, stored_views=3).model_dump(mode="json")
    entry = {"kind": "recognition", "dataset": "digits", "clipping": "raw", "part": None, "seeds": [1, 2]}
    project.configure(
        encoders=EXPERTS,
        recognizers={"cast": cast_settings().model_dump(mode="json"), "stored": stored},
        experiments={name: entry | {"recognizer": name} for name in ("cast", "stored")},
        report={"experiments": ["cast", "stored"]},
    )
    jobs = project.jobs()
    assert {"import_weights clip", "import_weights mae", "train_recognizer cast", "train_recognizer stored"} <= jobs
    fronts = {job for job in jobs if job.startswith("extract_front")}
    assert fronts == {f"extract_front digits raw stored 00{shard}" for shard in range(2)}
    assert not {job for job in jobs if job.startswith(("extract_regions", "extract_features", "draw_embeddings"))}
    models = [f"results/experiments/{name}/model.safetensors" for name in ("cast", "stored")]
    scores = "results/experiments/cast/test/logits.zarr/zarr.json"
    output = " ".join(project.run("--dry-run", "--printshellcmds", *models, scores).split())
    experts = "--experts results/encoders/clip/weights.safetensors results/encoders/mae/weights.safetensors"
    assert output.count(experts) == 5  # two trainings, a recognition, and the fronts of two shards
    assert "--fronts results/datasets/digits/fronts/raw/stored/000.zarr/zarr.json results/datasets/digits" in output
    features = project.run("--dry-run", "--printshellcmds", "results/datasets/digits/features/cast/000.zarr/zarr.json")
    assert " ".join(features.split()).count(experts) == 2


def test_cast_begins_with_a_file_that_the_user_brings(project: Project) -> None:
    published = cast_settings(weights="published/cast.pth").model_dump(mode="json")
    entry = {"kind": "recognition", "dataset": "digits", "clipping": "raw", "part": None, "seeds": [1]}
    project.configure(
        encoders=EXPERTS,
        recognizers={"cast": published},
        experiments={"cast": entry | {"recognizer": "cast"}},
        report={"experiments": ["cast"]},
    )
    target = "results/experiments/cast/model.safetensors"
    (project.root / "published").mkdir()
    (project.root / "published/cast.pth").write_bytes(b"any")
    assert "--weights published/cast.pth" in project.run("--dry-run", "--printshellcmds", target)


def test_the_report_names_the_experts_behind_routing_and_behind_motion(project: Project) -> None:
    """Else a page of these experiments alone would not say that an encoder is untrained."""
    entry = {"kind": "recognition", "dataset": "shapes", "clipping": "raw", "recognizer": "cast", "seeds": [1]}
    parts = {"selector": None, "e0": 0, "e1": 1}
    trained = {name: entry | {"part": {"groups": "two", "group": group}} for name, group in parts.items()}
    routing = {"kind": "routing", "dataset": "shapes", "clipping": "raw", "seeds": [1]}
    routing |= {"selector": "selector", "experts": ["e0", "e1"]}
    captioning = {"like": "grid", "graph": "moved"}
    project.configure(
        encoders=EXPERTS | {"moving": {"kind": "cast", "experiment": "plain"}},
        recognizers={"cast": cast_settings().model_dump(mode="json")},
        groups={"two": {"kind": "consecutive", "number": 2}},
        graphs={"moved": {"like": "grid", "motion": "moving"}},
        experiments={**trained, "plain": entry | {"part": None}, "tstl": routing, "moved": captioning},
        report={"experiments": ["tstl"]},
    )
    for named in (["tstl"], ["moved"]):
        project.configure(report={"experiments": named})
        printed = project.run("--dry-run")
        assert ("results/experiments/selector/test/embeddings.png" in printed) == (named == ["tstl"])
        (report,) = [job for job in printed.split("rule ") if job.startswith("write_report:")]
        assert all(f"results/encoders/{name}/weights.safetensors" in report for name in ("clip", "mae")), named


def test_stored_views_do_not_depend_on_how_cast_learns(project: Project) -> None:
    stored = cast_settings(first_block=2, stored_views=3).model_dump(mode="json")
    entry = {"kind": "recognition", "dataset": "digits", "clipping": "raw", "part": None, "seeds": [1]}
    project.configure(
        encoders=EXPERTS,
        recognizers={"stored": stored},
        experiments={"stored": entry | {"recognizer": "stored"}},
        report={"experiments": ["stored"]},
    )
    target = "results/datasets/digits/fronts/raw/stored/000.zarr/zarr.json"

    def settings_of_job() -> str:
        command = project.run("--dry-run", "--printshellcmds", target).split("-m pipeline extract_front")[1]
        return command.split("--settings")[1].split("--threads")[0]

    before = settings_of_job()
    project.configure(recognizers={"stored": {"training": {"lr": 0.5}, "ratio": 0.25, "views": {"temporal": 2}}})
    project.configure(recognizers={"stored": {"fusion": "concatenated"}})
    assert settings_of_job() == before
    project.configure(recognizers={"stored": {"augmentation": {"flip": "keep_labels"}}})
    assert settings_of_job() != before

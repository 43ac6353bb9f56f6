"""Exactly what a change re-runs, and nothing else."""

import csv
import json
from hashlib import sha256
from pathlib import Path

import pytest
from toys.tiny_project import Project, home_shard
from toys.videos import write_block_video

from pipeline.artifact import file_digest

SHARDS = ("000", "001")
TESTED = ("val", "test")
GRAPHS = ("build_spatial_graphs", "build_temporal_graphs", "convert_graphs")
EVALUATION = ("generate_captions", "score_captions")
PREDICTION = {"caption_videos unseen", "write_gallery unseen"}  # by the experiment `everything`


def every(rule: str, *names: str, shards: tuple[str, ...] = SHARDS) -> set[str]:
    """Jobs of a rule, one a shard."""
    return {" ".join([rule, *names, shard]) for shard in shards}


def evaluation_jobs(*experiments: str) -> set[str]:
    """From a trained model to the report; the best model's captions are scored as other videos' ones, too."""
    jobs = {f"{rule} {name} {split}" for rule in EVALUATION for name in experiments for split in TESTED}
    return jobs | {"score_bounds home test", "write_report"} | (PREDICTION if "everything" in experiments else set())


def experiment_jobs(*experiments: str) -> set[str]:
    """From training to the report."""
    return {f"train_captioner {experiment}" for experiment in experiments} | evaluation_jobs(*experiments)


def described(*experiments: str) -> set[str]:
    """What tells predictions what an experiment stands on."""
    return {f"describe_experiment {experiment}" for experiment in experiments}


def graph_jobs(dataset: str, graph: str, shards: tuple[str, ...] = SHARDS) -> set[str]:
    """From nodes to graphs."""
    return set().union(*(every(rule, dataset, graph, shards=shards) for rule in GRAPHS))


def grid_jobs(dataset: str, name: str, shards: tuple[str, ...] = SHARDS) -> set[str]:
    """From frames to graphs, where a graph is named like its nodes."""
    return every("build_grid_nodes", dataset, name, shards=shards) | graph_jobs(dataset, name, shards=shards)


def knowledge_jobs() -> set[str]:
    """From captions to the knowledge of every video."""
    jobs = {"extract_triplets captions", "embed_knowledge captions"}
    return jobs | every("link_knowledge", "home", "captions") | {"link_knowledge unseen captions 000"}


def test_nothing_to_do(finished: Project) -> None:
    assert finished.jobs() == set()


def test_overlap(project: Project) -> None:
    project.configure(nodes={"grid": {"overlap": 0.25}})
    assert project.jobs() == grid_jobs("home", "grid") | experiment_jobs("grid") | described("grid")


def test_comment_in_a_stage(project: Project) -> None:
    stage = project.root / "pipeline/stages/build_grid_nodes.py"
    stage.write_text("# A remark.\n" + stage.read_text(encoding="utf-8") + "\n\n# Another.\n", encoding="utf-8")
    assert project.jobs() == set()


def test_line_of_a_stage(project: Project) -> None:
    stage = project.root / "pipeline/stages/build_grid_nodes.py"
    stage.write_text(stage.read_text(encoding="utf-8") + "\nNEW = 1\n", encoding="utf-8")
    assert project.jobs() == grid_jobs("home", "grid") | experiment_jobs("grid")


def test_learning_rate(project: Project) -> None:
    project.configure(captioners={"bidirectional": {"training": {"lr": 2.0e-3}}})
    both = ("grid", "everything")
    assert project.jobs() - described(*both) == experiment_jobs(*both)


def test_decoding_trains_nothing(project: Project) -> None:
    project.configure(captioners={"bidirectional": {"decoding": {"length_penalty": 0.5}}})
    both = ("grid", "everything")
    assert project.jobs() == evaluation_jobs(*both) | described(*both)


def test_links_of_knowledge(project: Project) -> None:
    project.configure(knowledge={"captions": {"linking": {"relations": 1}}})
    expected = every("link_knowledge", "home", "captions") | {"link_knowledge unseen captions 000"}
    assert project.jobs() == expected | experiment_jobs("everything") | described("everything")


def test_one_caption(project: Project) -> None:
    project.edit("captions.csv", "a block number 3 moves", "a block number 3 slides")
    expected = {"index_captions home", "build_vocabulary home"} | knowledge_jobs()
    assert project.jobs() == expected | experiment_jobs("grid", "everything")


def test_added_video(project: Project) -> None:
    write_block_video(project.root / "videos" / "late.mp4", seed=77)
    with (project.root / "captions.csv").open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerow(["late.mp4", "a square comes late", "train"])
    shards = (home_shard("late.mp4"),)
    expected = every("index_videos", "home", shards=shards)
    expected |= every("decode_frames", "home", "action", shards=shards)
    expected |= every("extract_i3d", "home", "action", "i3d", shards=shards)
    expected |= every("extract_clip", "home", "action", "clip", shards=shards)
    expected |= every("extract_union_motion", "home", "union", shards=shards)
    expected |= grid_jobs("home", "grid", shards=shards) | graph_jobs("home", "union", shards=shards)
    expected |= every("build_object_nodes", "home", "object", shards=shards)
    expected |= {"index_captions home", "build_vocabulary home"} | knowledge_jobs()
    assert project.jobs() == expected | experiment_jobs("grid", "everything")


@pytest.mark.long
def test_lost_shard_is_made_again_and_then_there_is_nothing_to_do(project: Project) -> None:
    lost = project.root / "results/datasets/home/nodes/grid/001.zarr/zarr.json"
    before = lost.read_bytes()
    lost.unlink()
    assert project.jobs() == grid_jobs("home", "grid", shards=("001",)) | experiment_jobs("grid")
    project.run()
    assert lost.read_bytes() == before
    assert project.jobs() == set()


def test_an_ablation_shares_what_it_does_not_change(project: Project) -> None:
    project.configure(
        nodes={"coarse": {"like": "grid", "cells": 2}},
        graphs={"coarse": {"like": "grid", "nodes": "coarse"}},
        experiments={"coarse": {"like": "grid", "graph": "coarse"}},
        report={"experiments": ["grid", "everything", "coarse"]},
    )
    assert project.jobs() == grid_jobs("home", "coarse") | experiment_jobs("coarse") | described("coarse")


def test_an_experiment_that_the_report_does_not_name_is_not_made(project: Project) -> None:
    project.configure(experiments={"again": {"like": "grid", "seeds": [2]}})
    assert project.jobs() == {"write_report"}  # the page shows the configuration
    scores = "results/experiments/again/test/scores.json"
    expected = {"train_captioner again", "generate_captions again test", "score_captions again test"}
    assert project.jobs(scores) == expected


@pytest.mark.long
def test_a_further_seed_trains_and_scores_that_seed_alone(project: Project) -> None:
    # An entry that is `like` another has its seeds, too.
    project.configure(experiments={"grid": {"seeds": [1, 5]}, "everything": {"seeds": [1]}})
    assert project.jobs() == experiment_jobs("grid/seeds/5") | described("grid")
    first, further = project.root / "results/experiments/grid", project.root / "results/experiments/grid/seeds/5"
    before = digests_of(first)
    project.run()
    assert project.jobs() == set()
    after = digests_of(first)
    assert after.keys() - before.keys() == {f"seeds/5/{path}" for path in before if path != "settings.json"}
    assert {path for path in before if after[path] != before[path]} == {"settings.json"}
    for path in ("model.safetensors", "curves.csv"):
        assert after[path] != after[f"seeds/5/{path}"]
    model = json.loads((further / "test/captions.json").read_text(encoding="utf-8"))["inputs"]["model"]["digest"]
    assert model == file_digest(further / "model.safetensors")
    assert {path.name for path in (project.root / "checkpoints/grid/seeds").iterdir()} == {"5"}
    page = (project.root / "results/report/index.html").read_text(encoding="utf-8")
    assert "2 seeds" in page
    assert "over videos and seeds together" in page
    done = project.python("-m", "pipeline", "verify")
    assert "all is well" in done.stdout, done.stdout


def digests_of(folder: Path) -> dict[str, str]:
    """By path below a folder, the digest of every file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


def test_second_encoder(project: Project) -> None:
    arch = {
        "embed_dim": 8,
        "vision": {"image_size": 16, "patch_size": 8, "width": 16, "heads": 2, "layers": 1},
        "text": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    other = {"kind": "clip4clip", "weights": "random", "seed": 2, "arch": arch, "finetune": None, "precision": "auto"}
    project.configure(
        encoders={"untuned": other},
        nodes={"untuned": {"like": "grid", "encoder": "untuned"}},
        graphs={"untuned": {"like": "grid", "nodes": "untuned"}},
        experiments={"untuned": {"like": "grid", "graph": "untuned"}},
        report={"experiments": ["grid", "everything", "untuned"]},
    )
    expected = {"import_weights untuned"} | grid_jobs("home", "untuned")
    assert project.jobs() == expected | experiment_jobs("untuned") | described("untuned")


def test_any_artifact_is_a_target(project: Project) -> None:
    motion = "results/datasets/shapes/motion/action/i3d/000.zarr/zarr.json"
    assert project.jobs(motion) == {"extract_i3d shapes action i3d 000"}

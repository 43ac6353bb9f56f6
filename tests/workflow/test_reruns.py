"""Exactly what a change re-runs, and nothing else."""

import csv

from .conftest import Project, home_shard, write_video

SHARDS = ("000", "001")
TESTED = ("val", "test")
GRAPHS = ("build_spatial_graphs", "build_temporal_graphs", "convert_graphs")
EVALUATION = ("generate_captions", "score_captions")


def every(rule: str, *names: str, shards: tuple[str, ...] = SHARDS) -> set[str]:
    """Jobs of a rule, one a shard."""
    return {" ".join([rule, *names, shard]) for shard in shards}


def experiment_jobs(*experiments: str) -> set[str]:
    """From training to the report."""
    jobs = {f"train_captioner {experiment}" for experiment in experiments}
    jobs |= {f"{rule} {name} {split}" for rule in EVALUATION for name in experiments for split in TESTED}
    return jobs | {"write_report"}


def node_jobs(dataset: str, name: str, shards: tuple[str, ...] = SHARDS) -> set[str]:
    """From nodes to graphs, where a graph is named like its nodes."""
    return set().union(*(every(rule, dataset, name, shards=shards) for rule in ("build_grid_nodes", *GRAPHS)))


def test_nothing_to_do(finished: Project) -> None:
    assert finished.jobs() == set()


def test_overlap(project: Project) -> None:
    project.configure(nodes={"grid": {"overlap": 0.25}})
    assert project.jobs() == node_jobs("home", "grid") | experiment_jobs("grid")


def test_comment_in_a_stage(project: Project) -> None:
    stage = project.root / "pipeline/stages/build_grid_nodes.py"
    stage.write_text("# A remark.\n" + stage.read_text(encoding="utf-8") + "\n\n# Another.\n", encoding="utf-8")
    assert project.jobs() == set()


def test_line_of_a_stage(project: Project) -> None:
    stage = project.root / "pipeline/stages/build_grid_nodes.py"
    stage.write_text(stage.read_text(encoding="utf-8") + "\nNEW = 1\n", encoding="utf-8")
    assert project.jobs() == node_jobs("home", "grid") | experiment_jobs("grid")


def test_learning_rate(project: Project) -> None:
    project.configure(captioners={"bidirectional": {"training": {"lr": 2.0e-3}}})
    assert project.jobs() == experiment_jobs("grid")


def test_one_caption(project: Project) -> None:
    project.edit("captions.csv", "a block number 3 moves", "a block number 3 slides")
    expected = {"index_captions home", "build_vocabulary home"} | experiment_jobs("grid")
    assert project.jobs() == expected


def test_added_video(project: Project) -> None:
    write_video(project.root / "videos" / "late.mp4", seed=77)
    with (project.root / "captions.csv").open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerow(["late.mp4", "a square comes late", "train"])
    shards = (home_shard("late.mp4"),)
    expected = every("index_videos", "home", shards=shards)
    expected |= every("decode_frames", "home", "action", shards=shards)
    expected |= every("extract_i3d", "home", "action", "i3d", shards=shards)
    expected |= node_jobs("home", "grid", shards=shards)
    expected |= {"index_captions home", "build_vocabulary home"} | experiment_jobs("grid")
    assert project.jobs() == expected


def test_lost_shard_is_made_again_and_then_there_is_nothing_to_do(project: Project) -> None:
    lost = project.root / "results/datasets/home/nodes/grid/001.zarr/zarr.json"
    before = lost.read_bytes()
    lost.unlink()
    assert project.jobs() == node_jobs("home", "grid", shards=("001",)) | experiment_jobs("grid")
    project.run()
    assert lost.read_bytes() == before
    assert project.jobs() == set()


def test_second_nodes_entry(project: Project) -> None:
    project.configure(
        nodes={"coarse": {"kind": "grid", "sampling": "action", "encoder": "clip", "cells": 2, "overlap": 0.5}},
        graphs={"coarse": {"nodes": "coarse", "motion": "i3d"}},
        experiments={"coarse": experiment("coarse")},
    )
    assert project.jobs() == node_jobs("home", "coarse") | experiment_jobs("coarse")


def test_second_encoder(project: Project) -> None:
    arch = {
        "embed_dim": 8,
        "vision": {"image_size": 16, "patch_size": 8, "width": 16, "heads": 2, "layers": 1},
        "text": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    other = {"kind": "clip4clip", "weights": "random", "seed": 2, "arch": arch, "finetune": None, "precision": "auto"}
    project.configure(
        encoders={"untuned": other},
        nodes={"untuned": {"kind": "grid", "sampling": "action", "encoder": "untuned", "cells": 3, "overlap": 0.5}},
        graphs={"untuned": {"nodes": "untuned", "motion": "i3d"}},
        experiments={"untuned": experiment("untuned")},
    )
    assert project.jobs() == {"import_weights untuned"} | node_jobs("home", "untuned") | experiment_jobs("untuned")


def experiment(graph: str) -> dict[str, object]:
    return {"dataset": "home", "graph": graph, "captioner": "bidirectional", "vocabulary": "home", "seed": 1}


def test_any_artifact_is_a_target(project: Project) -> None:
    motion = "results/datasets/shapes/motion/action/i3d/001.zarr/zarr.json"
    assert project.jobs(motion) == {"extract_i3d shapes action i3d 001"}

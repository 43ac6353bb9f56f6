"""What sites differ in: groups, arrays, reservations, no accounts, and GPUs that are known as `--gres` alone."""

import subprocess
from pathlib import Path

import pytest
import yaml

from .conftest import MOTION, Project, copy_of_sources
from .slurm import Slurm, records

VIDEOS = [f"results/datasets/shapes/videos/{shard}.json" for shard in ("000", "001")]


@pytest.fixture
def small(slurm: Slurm, tmp_path: Path) -> Project:
    """A project whose generated data set has two shards, of which nothing is made yet."""
    project = copy_of_sources(tmp_path)
    shapes = {"shards": 2, "clips": {"train": 4, "val": 1, "test": 1}, "seconds": [1.0, 1.5]}
    (project.root / "tiny.yaml").write_text(yaml.safe_dump({"datasets": {"shapes": shapes}}), encoding="utf-8")
    return project


def test_a_group_is_one_job_on_one_node(small: Project) -> None:
    """Its four jobs asked for two nodes together, and waited for ever."""
    groups = ("--groups", "make_shapes=g", "index_videos=g", "--group-components", "g=2")
    small.run(*VIDEOS, *groups, seconds=300)
    [job] = records(small.root)
    assert (job["NumNodes"], job["JobState"]) == ("1", "COMPLETED")
    assert all((small.root / path).is_file() for path in VIDEOS)


def test_arrays_and_reservations_and_no_account(small: Project) -> None:
    create = ("scontrol", "create", "reservation", "ReservationName=lesson", "StartTime=now", "Duration=60")
    subprocess.run([*create, "Users=root", "Nodes=tests"], check=True, capture_output=True)
    try:
        options = ("--slurm-array-jobs", "make_shapes", "--slurm-reservation", "lesson", "--slurm-no-account")
        small.run(*VIDEOS, *options, seconds=300)
        jobs = records(small.root)
    finally:
        subprocess.run(["scontrol", "delete", "ReservationName=lesson"], check=False, capture_output=True)
    arrays = [job["ArrayJobId"] for job in jobs if job.get("Comment", "").startswith("rule_make_shapes")]
    assert len(arrays) == 2
    assert len(set(arrays)) == 1
    assert {job["Reservation"] for job in jobs} == {"lesson"}
    assert {job["Account"] for job in jobs} == {"(null)"}


def test_gpus_that_are_asked_for_by_gres_alone_are_used(slurm: Slurm, project: Project) -> None:
    project.remove("datasets/home/motion/action/i3d/000.zarr")
    project.run(MOTION[0], "--set-resources", "extract_i3d:gpu=0", "extract_i3d:gres=gpu:1")
    [job] = project.jobs("extract_i3d")
    assert "gpu:1" in job["TresPerNode"]
    assert project.started("extract_i3d")[job["JobId"]] in {"0", "1"}

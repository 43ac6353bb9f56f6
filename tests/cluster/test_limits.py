"""A job over one of its limits is killed by SLURM and tried again with more, as SLURM's own records say."""

import pytest

from .conftest import MADE, Project
from .slurm import Slurm

VIDEOS = "results/datasets/home/videos/000.json"


@pytest.fixture
def limited(slurm: Slurm, project: Project) -> Project:
    """make_shapes that fills 2 GB whenever it runs, and index_videos that hangs once, with a minute for it."""
    project.remove("datasets/shapes/made", "datasets/home/videos/000.json")
    project.order("fill.make_shapes")
    project.order("hang.index_videos")
    project.run(MADE, VIDEOS, "--set-resources", "index_videos:runtime=attempt")
    return project


def test_a_job_over_its_limits_is_retried_with_more(limited: Project) -> None:
    first, second = limited.jobs("make_shapes")
    assert (first["JobState"], second["JobState"]) == ("FAILED", "COMPLETED")
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("1500M", "3000M")
    assert (first["TimeLimit"], second["TimeLimit"]) == ("01:00:00", "02:00:00")
    assert (limited.root / MADE).exists()
    log = (limited.root / f"logs/slurm/rule_make_shapes/shapes_000/{first['JobId']}.log").read_text(encoding="utf-8")
    assert "exceeded memory limit" in log  # here a user finds the reason

    first, *more = limited.jobs("index_videos")  # a second time over its limit where the machine is very busy
    assert (first["JobState"], more[-1]["JobState"]) == ("TIMEOUT", "COMPLETED")
    limits = [job["TimeLimit"] for job in (first, *more)]
    assert limits == [f"00:0{attempt}:00" for attempt in range(1, len(limits) + 1)]
    assert (limited.root / VIDEOS).exists()
    log = (limited.root / f"logs/slurm/rule_index_videos/home_000/{first['JobId']}.log").read_text(encoding="utf-8")
    assert "DUE TO TIME LIMIT" in log

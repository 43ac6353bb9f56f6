"""profiles/generic, for other schedulers, tried against SLURM by its commands alone."""

import time

from .conftest import MADE, MOTION, Project, wait_until
from .slurm import Slurm, records

SITE = ("--workflow-profile", "profiles/generic", "--cores", "2", "--seconds-between-status-checks", "6")


def test_gpus_are_handed_out(slurm: Slurm, project: Project, finished: Project) -> None:
    project.remove("datasets/home/motion")
    hold = project.order("hold.extract_i3d")
    project.start(*MOTION, site=SITE)
    wait_until(lambda: len(project.started("extract_i3d")) == 2)
    assert sorted(project.started("extract_i3d").values()) == ["0", "1"]
    hold.unlink()
    code, output = project.finish()
    assert code == 0, output
    assert project.digests() == finished.digests()


def test_a_job_over_its_memory_is_retried_with_more(slurm: Slurm, project: Project, finished: Project) -> None:
    project.remove("datasets/shapes/made")
    project.order("fill.make_shapes")
    project.run(MADE, site=SITE)
    first, second = records(project.root)
    assert (first["JobState"], second["JobState"]) == ("FAILED", "COMPLETED")
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("1500M", "3000M")
    assert (first["TimeLimit"], second["TimeLimit"]) == ("01:00:00", "02:00:00")
    assert project.digests() == finished.digests()


def test_an_interrupted_call_cancels_its_jobs(slurm: Slurm, project: Project) -> None:
    project.remove("datasets/home/motion")
    project.order("hold.extract_i3d")
    project.start(*MOTION, site=SITE)
    wait_until(lambda: len(project.started("extract_i3d")) == 2)
    # Snakemake cancels no job that it is just asking about: interrupt it between two rounds.
    before = project.asked() // 2
    wait_until(lambda: project.asked() == 2 * (before + 2))
    time.sleep(1)
    project.stop()
    wait_until(lambda: {job["JobState"] for job in records(project.root)} == {"CANCELLED"})

"""Jobs that are cancelled or preempted, and a scheduler that is away: the artifacts are those of a quiet run."""

import re
import subprocess

from .conftest import MADE, MOTION, NODES, SHAPES_MOTION, Project, wait_until
from .slurm import Slurm


def test_scancel_and_a_second_call(slurm: Slurm, project: Project, finished: Project) -> None:
    project.remove("datasets/home/frames", "datasets/home/nodes")
    hold = project.order("hold.decode_frames")
    project.start(*NODES, "--retries", "0")
    first, _ = project.wait_for("RUNNING", "decode_frames", num=2)
    subprocess.run(["scancel", first["JobId"]], check=True)
    hold.unlink()
    code, output = project.finish()
    assert code != 0
    assert "CANCELLED" in output
    assert sum((project.root / path).exists() for path in NODES) == 1  # the other shard went on
    project.run(*NODES)
    assert project.digests() == finished.digests()


def test_a_cancelled_job_saves_the_video_in_hand(slurm: Slurm, project: Project, finished: Project) -> None:
    project.remove("datasets/shapes/motion")
    project.start(SHAPES_MOTION, "--retries", "0")
    journal = project.root / "results/datasets/shapes/motion/action/i3d/.000.zarr.partial/journal.jsonl"
    wait_until(lambda: journal.exists() and len(journal.read_bytes().splitlines()) >= 3)
    [job] = project.jobs("extract_i3d")
    subprocess.run(["scancel", job["JobId"]], check=True)
    code, output = project.finish()
    assert code != 0
    log = project.root / "logs/extract_i3d/shapes/action/i3d/000.log"
    saved = re.search(r"stopped by SIGTERM (after \d+ of 34 videos)", log.read_text(encoding="utf-8"))
    assert saved, output
    project.run(SHAPES_MOTION)
    assert f"continuing {saved[1]}" in log.read_text(encoding="utf-8")
    assert project.digests() == finished.digests()


def test_a_cancelled_job_has_its_time_to_end(slurm: Slurm, project: Project) -> None:
    project.remove("datasets/shapes/made")
    project.order("linger.make_shapes")
    project.start(MADE, "--retries", "0")
    wait_until(lambda: len(project.started("make_shapes")) == 1)
    [job] = project.jobs("make_shapes")
    subprocess.run(["scancel", job["JobId"]], check=True)
    code, _ = project.finish()
    assert code != 0
    wait_until(lambda: project.jobs("make_shapes")[0]["JobState"] == "CANCELLED")
    assert (project.orders / "lingered").read_text(encoding="utf-8").split() == [job["JobId"]]


def preempt(project: Project, *arguments: str) -> None:
    """Start two jobs of a GPU each, and take the GPUs from them for some seconds."""
    project.remove("datasets/home/motion")
    hold = project.order("hold.extract_i3d")
    project.start(*MOTION, *arguments)
    wait_until(lambda: len(project.started("extract_i3d")) == 2)
    urgent = ["sbatch", "--partition=urgent", "--gpus=2", "--comment=rule_urgent", "--output=/dev/null"]
    subprocess.run([*urgent, "--wrap=sleep 3"], cwd=project.root, check=True, stdout=subprocess.DEVNULL)
    project.wait_for("RUNNING", "urgent")
    hold.unlink()


def test_preempted_jobs_go_back_into_the_queue(slurm: Slurm, project: Project, finished: Project) -> None:
    preempt(project, "--retries", "0")
    for job in project.wait_for("PENDING", "extract_i3d", num=2):  # SLURM would let two minutes go by
        subprocess.run(["scontrol", "update", f"JobId={job['JobId']}", "StartTime=now"], check=True)
    code, output = project.finish()
    assert code == 0, output
    assert [job["Restarts"] for job in project.jobs("extract_i3d")] == ["1", "1"]
    assert project.digests() == finished.digests()


def test_jobs_that_end_in_their_time_of_grace_are_retried(slurm: Slurm, project: Project, finished: Project) -> None:
    preempt(project, "--set-resources", "extract_i3d:slurm_partition=graceful")
    code, output = project.finish()
    assert code == 0, output
    jobs = project.jobs("extract_i3d")
    assert [job["JobState"] for job in jobs] == ["FAILED", "FAILED", "COMPLETED", "COMPLETED"]
    assert project.digests() == finished.digests()


def test_a_scheduler_that_is_away_for_a_while(slurm: Slurm, project: Project, finished: Project) -> None:
    project.remove("datasets/home/motion")
    hold = project.order("hold.extract_i3d")
    project.start(*MOTION)
    project.wait_for("RUNNING", "extract_i3d", num=2)
    wait_until(lambda: len(project.started("extract_i3d")) == 2)
    away = project.order("no.squeue")
    wait_until(lambda: len(away.read_text(encoding="utf-8").splitlines()) > 8)  # more than the plugin asks by itself
    slurm.stop_controller()
    away.unlink()
    hold.unlink()
    slurm.start_controller()
    code, output = project.finish()
    assert code == 0, output
    assert project.digests() == finished.digests()

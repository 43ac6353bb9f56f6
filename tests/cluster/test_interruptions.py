"""Jobs that are cancelled or pre-empted, and a scheduler that is away: the artifacts are those of a quiet run."""

import subprocess

from .conftest import CAPTIONS, Project, wait_until
from .slurm import Slurm

MOTION = [f"results/datasets/home/motion/action/i3d/{shard}.zarr/zarr.json" for shard in ("000", "001")]


def test_scancel_and_a_second_call(slurm: Slurm, project: Project, finished: Project) -> None:
    project.remove("datasets/home", "experiments")
    hold = project.order("hold.decode_frames")
    project.start(CAPTIONS, "--retries", "0")
    first, _ = project.wait_for("RUNNING", "decode_frames", num=2)
    subprocess.run(["scancel", first["JobId"]], check=True)
    hold.unlink()
    code, output = project.finish()
    assert code != 0
    assert "CANCELLED" in output
    assert not (project.root / CAPTIONS).exists()
    project.run(CAPTIONS)
    assert project.digests() == finished.digests()


def test_preempted_jobs_go_back_into_the_queue(slurm: Slurm, project: Project, finished: Project) -> None:
    project.remove("datasets/home/motion")
    hold = project.order("hold.extract_i3d")
    project.start(*MOTION, "--retries", "0")
    running = project.wait_for("RUNNING", "extract_i3d", num=2)
    wait_until(lambda: len(project.started("extract_i3d")) == 2)
    urgent = [
        "sbatch",
        "--partition=urgent",
        "--gpus=2",
        "--comment=rule_urgent",
        "--output=/dev/null",
        "--wrap=sleep 3",
    ]
    subprocess.run(urgent, cwd=project.root, check=True, stdout=subprocess.DEVNULL)
    project.wait_for("RUNNING", "urgent")
    hold.unlink()
    code, output = project.finish()
    assert code == 0, output
    jobs = project.jobs("extract_i3d")
    assert [job["JobId"] for job in jobs] == [job["JobId"] for job in running]  # Snakemake submitted nothing again
    assert [job["Restarts"] for job in jobs] == ["1", "1"]
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

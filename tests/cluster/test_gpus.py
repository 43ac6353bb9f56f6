"""GPUs as SLURM hands them out: one to a job, three jobs for two, and two to one training."""

import yaml

from .conftest import MODEL, MOTION, SHAPES_MOTION, Project, wait_until
from .slurm import CPUS, Slurm


def test_three_jobs_queue_for_two_gpus(slurm: Slurm, project: Project) -> None:
    project.remove("datasets/home/motion", "datasets/shapes/motion")
    hold = project.order("hold.extract_i3d")
    project.start(*MOTION, SHAPES_MOTION)
    running = project.wait_for("RUNNING", "extract_i3d", num=2)
    [waiting] = project.wait_for("PENDING", "extract_i3d")
    assert sum(int(job["NumCPUs"]) for job in [*running, waiting]) <= CPUS  # it is the GPU that the third waits for
    wait_until(lambda: len(project.started("extract_i3d")) == 2)
    assert sorted(project.started("extract_i3d").values()) == ["0", "1"]
    hold.unlink()
    code, output = project.finish()
    assert code == 0, output
    devices = project.started("extract_i3d")
    assert set(devices) == {job["JobId"] for job in [*running, waiting]}
    assert devices[waiting["JobId"]] in {"0", "1"}
    done = {job["JobId"]: job for job in project.jobs("extract_i3d")}
    assert done[waiting["JobId"]]["StartTime"] >= min(done[job["JobId"]]["EndTime"] for job in running)


def test_jobs_go_where_there_are_gpus_only_if_they_need_one(slurm: Slurm, project: Project) -> None:
    project.remove("datasets/home/motion/action/i3d/000.zarr", "datasets/home/spatial_graphs/grid/000.zarr")
    partitions = {"main": {"max_threads": CPUS}, "gpus": {"max_threads": CPUS, "max_gpu": 2}}
    (project.root / "partitions.yaml").write_text(yaml.safe_dump({"partitions": partitions}), encoding="utf-8")
    site = [entry for entry in project.site if not entry.startswith("slurm_partition")]
    project.run(
        MOTION[0],
        "results/datasets/home/spatial_graphs/grid/000.zarr/zarr.json",
        site=(*site, "--slurm-partition-config", "partitions.yaml"),
    )
    assert [job["Partition"] for job in project.jobs("extract_i3d")] == ["gpus"]
    assert [job["Partition"] for job in project.jobs("build_spatial_graphs")] == ["main"]


def test_two_gpus_are_two_ranks(slurm: Slurm, project: Project) -> None:
    project.run(MODEL, "--set-resources", "train_captioner:gpu=2")
    [job] = project.jobs("train_captioner")
    assert job["TresPerJob"] == "gres:gpu:2"
    assert job["NumNodes"] == job["NumTasks"] == "1"
    log = (project.root / "logs/train_captioner/grid.log").read_text(encoding="utf-8")
    print(log)

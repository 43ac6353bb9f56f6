"""GPUs in real calls of Snakemake, on stand-in devices: leased to jobs, and compared with what a call asks for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from toys.gpu_jobs import WORK, most_at_once, write_nvidia_smi
from toys.project_sources import ROOT
from toys.tiny_project import Project

from pipeline.jobs.gpus import visible_devices

GPUS = ("GPU 0: A100 (UUID: GPU-aaaa-1111)", "GPU 1: A100 (UUID: GPU-bbbb-2222)")
SNAKEFILE = """
from snakemake.exceptions import WorkflowError
include: "{root}/rules/jobs.smk"
onstart:
    check_gpus()
rule all:
    input:
        expand("job/{{number}}.txt", number=range(4)),
rule job:
    output:
        "job/{{number}}.txt",
    resources:
        gpu=1,
    shell:
        "python -m pipeline.jobs.gpus {{resources.gpu}} python work.py 0.2 >{{output:q}} 2>{{output:q}}.log"
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A workflow of four jobs of one GPU each, of which every one writes down what it had."""
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "Snakefile").write_text(SNAKEFILE.format(root=ROOT), encoding="utf-8")
    (folder / "work.py").write_text(WORK, encoding="utf-8")
    return folder


def call(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Exit code and output of Snakemake."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment.pop('PATH', os.environ['PATH'])}"
    inherited = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
    own = {"PATH": path, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(folder), "TMPDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "4", *arguments],
        cwd=folder,
        env=inherited | own | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def most_on_a_device(folder: Path, *devices: str) -> list[int]:
    """For each device, how many jobs had it at once at most."""
    told = [path.read_text(encoding="utf-8").splitlines() for path in sorted((folder / "job").glob("*.txt"))]
    had = [json.loads(begun) | json.loads(ended) for begun, ended in told]
    assert len(had) == 4
    return [most_at_once([found for found in had if found["devices"] == [device]]) for device in devices]


def test_jobs_of_one_call_never_share_a_device(toy: Path) -> None:
    code, output = call(toy, "--resources", "gpu=2", PATH=write_nvidia_smi(toy / "bin", *GPUS))
    assert code == 0, output
    assert most_on_a_device(toy, "0", "1") == [1, 1]


def test_without_a_gpu_a_call_warns_once(toy: Path) -> None:
    code, output = call(toy, "--resources", "gpu=4", CUDA_VISIBLE_DEVICES="")
    assert code == 0, output
    assert output.count("no GPU") == output.count("WARNING: no GPU here: every job runs on the CPU") == 1


def test_the_tiny_run_has_warned_once(finished: Project) -> None:
    assert finished.output.count("no GPU") == (0 if visible_devices() else 1)


def test_a_call_that_submits_jobs_is_not_measured_by_this_machine(toy: Path) -> None:
    """Log-in nodes have other GPUs than those that jobs run on; the job's own Snakemake does not ask again."""
    pytest.importorskip("snakemake_executor_plugin_cluster_generic")
    (toy / "submit").write_text('#!/bin/sh\nsh "$1" >submitted.log 2>&1\necho 1\n', encoding="utf-8")
    (toy / "submit").chmod(0o755)
    submit = ["--executor", "cluster-generic", "--cluster-generic-submit-cmd", "./submit", "--jobs", "1"]
    submit += ["--seconds-between-status-checks", "1"]
    path = write_nvidia_smi(toy / "bin", *GPUS)
    code, output = call(toy, "job/0.txt", *submit, "--resources", "gpu=9", PATH=path)
    told = output + (toy / "submitted.log").read_text(encoding="utf-8")
    assert code == 0, told
    assert "this machine shows" not in told
    assert json.loads((toy / "job/0.txt").read_text(encoding="utf-8").splitlines()[0])["devices"] == ["0"]


def test_more_than_there_are_is_an_error_before_the_first_job(finished: Project, tmp_path: Path) -> None:
    path = write_nvidia_smi(tmp_path / "bin", *GPUS)
    asked = {
        "--resources gpu=3": "--resources gpu=3: this machine shows 2 GPUs: say gpu=2",
        "--resources gpu=2 --set-resources train_captioner:gpu=4": "train_captioner asks for gpu=4, but this machine",
    }
    for options, message in asked.items():
        forced = ["--forcerun", "write_report", "--configfile", "tiny.yaml"]
        code, output = call(finished.root, *options.split(), *forced, PATH=path)
        assert code != 0
        assert message in output
        assert "Traceback" not in output
        assert "rule write_report" not in output


def test_a_dry_run_asks_no_driver(finished: Project, tmp_path: Path) -> None:
    path = write_nvidia_smi(tmp_path / "bin")
    asked = tmp_path / "asked"
    (tmp_path / "bin/nvidia-smi").write_text(f"#!/bin/sh\ntouch {asked}\n", encoding="utf-8")
    code, output = call(finished.root, "--dry-run", "--forceall", "--configfile", "tiny.yaml", PATH=path)
    assert code == 0, output
    assert "no GPU" not in output
    assert not asked.exists()

"""The code that runs is the code that is recorded, and the workflow is called from any folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from toys.project_sources import ROOT, copy_sources

from pipeline.errors import PipelineError
from pipeline.workflow.own_code import environment_lines

OVERLAY = {
    "datasets": {
        "mine": {
            "kind": "folder",
            "shards": 1,
            "videos": "data/videos",
            "captions": "data/captions.csv",
            "splits": {"train": 0.8, "val": 0.1, "test": 0.1},
        }
    }
}
TARGET = "results/datasets/mine/videos/000.json"
SUBMIT = "sh -c 'bash $0 >&2; echo 7'"  # runs the script of a job that follows, and prints a job's number


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose stage says that it is this one's, another package `pipeline`, and a working folder."""
    root = tmp_path_factory.mktemp("place")
    (root / "an other's checkout").mkdir()
    copy_sources(root / "an other's checkout")
    shutil.copytree(ROOT / "workflow", root / "an other's checkout" / "workflow")
    stage = root / "an other's checkout" / "pipeline" / "stages" / "index_videos.py"
    stage.write_text(f"{stage.read_text(encoding='utf-8')}\nprint('of the other checkout')\n", encoding="utf-8")
    rival = root / "rival" / "pipeline"
    rival.mkdir(parents=True)
    (rival / "__init__.py").touch()
    (rival / "__main__.py").write_text("raise SystemExit('the rival ran')")
    work = root / "work"
    (work / "data" / "videos").mkdir(parents=True)
    (work / "data" / "videos" / "a.mp4").write_text("no video")
    (work / "data" / "captions.csv").write_text("video,caption\na.mp4,a dog\n")
    (work / "pipeline.py").write_text("raise SystemExit('the user\\'s file ran')")
    (work / "config.yaml").write_text(yaml.safe_dump(OVERLAY))
    (root / "commands").mkdir()
    (root / "commands" / "squeue").write_text("#!/bin/sh\necho COMPLETED\n")
    (root / "commands" / "squeue").chmod(0o755)
    return root


def snakemake(folder: Path, python_path: list[Path], *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder.parent / "commands"), str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {
        "PATH": path,
        "XDG_CONFIG_HOME": str(folder),
        "PYTHONPATH": os.pathsep.join(map(str, python_path)),
    }
    command = [sys.executable, "-m", "snakemake", *arguments]
    return subprocess.run(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def test_jobs_run_the_package_beside_the_snakefile(place: Path) -> None:
    """Neither an installed one runs, nor the user's file of that name; config.yaml and status.sh are found."""
    checkout = place / "an other's checkout"
    generic = ["--workflow-profile", "../an other's checkout/profiles/generic", "--cluster-generic-submit-cmd", SUBMIT]
    generic += ["--seconds-between-status-checks", "1", "--retries", "0"]
    call = [TARGET, "-s", f"{checkout}/Snakefile", "--cores", "1", *generic]
    done = snakemake(place / "work", [place / "rival"], *call)
    log = (place / "work" / "logs/index_videos/mine/000.log").read_text(encoding="utf-8")
    assert done.returncode == 0, f"{done.stdout}\n{log}"
    assert "of the other checkout" in log
    assert (place / "work" / TARGET).is_file()


def test_another_package_is_refused_in_one_line(place: Path) -> None:
    checkout = place / "an other's checkout"
    done = snakemake(place, [place / "rival", checkout], "-n", "-s", f"{checkout}/Snakefile", "--cores", "1")
    assert done.returncode == 1
    line = f"run the package {checkout}/pipeline, but Python finds {place}/rival/pipeline/__init__.py in its place: "
    assert line in done.stdout
    assert "Traceback" not in done.stdout


def test_any_folder_comes_before_what_the_user_has_in_the_path(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s {a} $HOME `id` of "mine"'
    lines = environment_lines(folder / "pipeline").format()  # as Snakemake does
    for before, expected in (({}, str(folder)), ({"PYTHONPATH": "/x:/y"}, f"{folder}:/x:/y")):
        done = subprocess.run(
            ["bash", "-euc", f"{lines} printenv PYTHONSAFEPATH PYTHONPATH"],
            env={"PATH": os.environ["PATH"]} | before,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == f"1\n{expected}\n"
    with pytest.raises(PipelineError, match="where a colon ends a path"):
        environment_lines(Path("/a:b/pipeline"))


MODULE = """
configfile: "overlay.yaml"
module clipgraph:
    snakefile: SNAKEFILE
    config: config
    prefix: "below"
use rule * from clipgraph as clipgraph_*
"""


def test_a_module_finds_what_is_the_workflows_and_keeps_to_its_prefix(place: Path) -> None:
    """From a repository, whose includes are the ones that Snakemake joins wrongly; a path takes the same lines."""
    checkout = place / "an other's checkout"
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=checkout, check=True, capture_output=True)
    source = f'gitfile({str(checkout)!r}, path="workflow/Snakefile", ref="HEAD")'
    folder = place / "module"
    (folder / "data").mkdir(parents=True)
    shutil.copytree(place / "work" / "data", folder / "data", dirs_exist_ok=True)
    (folder / "overlay.yaml").write_text(yaml.safe_dump(OVERLAY | {"report": {"videos": 3}}))
    (folder / "Snakefile").write_text(MODULE.replace("SNAKEFILE", source))
    done = snakemake(folder, [checkout], "-n", "-p", "--cores", "1", "clipgraph_all", f"below/{TARGET}")
    assert done.returncode == 0, done.stdout
    assert "--checkpoints below/checkpoints/grid " in done.stdout
    assert "--out below/results/report/index.html" in done.stdout
    assert '"videos": 3}' in done.stdout  # laid over the workflow's own configuration
    assert "localrules" not in done.stdout
    assert '"clipgraph_make_shapes": {"jobs": 2,' in done.stdout  # the report's picture of stages

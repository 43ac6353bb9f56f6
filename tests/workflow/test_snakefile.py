"""The Snakefile itself: what it imports, how it takes mistakes, and that the checks are clean."""

import json
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import yaml
from toys.project_sources import ROOT
from toys.rule_texts import rule_texts
from toys.tiny_project import Project


def test_the_snakefile_imports_light_modules_only() -> None:
    sources = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
    lines = [line for file in sources for line in file.read_text(encoding="utf-8").splitlines()]
    imports = [line for line in lines if line.startswith(("import ", "from ")) and "snakemake" not in line]
    assert "from pipeline.config import validate" in imports
    program = "\n".join([*imports, "import sys", "print(*{'torch', 'numpy', 'zarr', 'av'} & set(sys.modules))"])
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_lint_is_clean(finished: Project) -> None:
    done = finished.snakemake("--lint")
    assert done.returncode == 0, done.stdout
    assert "Congratulations" in done.stdout


def test_nothing_to_do_is_said_in_seconds(finished: Project) -> None:
    start = time.monotonic()
    output = finished.run("--dry-run")
    assert "Nothing to be done" in output
    assert time.monotonic() - start < 10  # 5 s are promised; the machine may be busy with other tests


def test_all_config_mistakes_are_said_at_once(project: Project) -> None:
    project.configure(nodes={"grid": {"overlaps": 0.5}}, graphs={"grid": {"nodes": "grdi"}})
    done = project.snakemake("--dry-run")
    assert done.returncode != 0
    assert "`nodes.grid.overlaps`: there is no such key: did you mean `overlap`?" in done.stdout
    assert "`graphs.grid.nodes: grdi`: no such entry in `nodes`: did you mean `grid`?" in done.stdout
    assert "Traceback" not in done.stdout


def test_missing_folder(project: Project) -> None:
    project.configure(datasets={"home": {"videos": "nowhere"}})
    done = project.snakemake("--dry-run")
    assert done.returncode != 0
    assert "nowhere" in done.stdout
    assert "no such folder" in done.stdout


def test_caption_file_of_unknown_videos(project: Project) -> None:
    (project.root / "captions.csv").write_text("video,caption,split\nnobody.mp4,a square moves,train\n")
    done = project.snakemake("results/datasets/home/captions.json")
    assert done.returncode != 0
    assert "nobody.mp4" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("overlay", sorted(path.name for path in (ROOT / "configs").glob("*.yaml")))
def test_shipped_overlays_are_valid(overlay: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--list-rules", "--configfile", f"configs/{overlay}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_rule_says_what_it_needs() -> None:
    for name, text in rule_texts().items():
        for directive in ("output", "log", "benchmark", "conda", "threads", "resources", "params", "shell"):
            assert f"\n    {directive}:" in text, f"{name} has no {directive}"
        assert "code=code(" in text
        # No expression of the cores: it is evaluated again within the job, where half of them is half of the job's.
        assert re.search(r"\n    threads: (\d+|SOME_THREADS)\n", text), name


def test_the_default_profile_comments_each_entry() -> None:
    text = (ROOT / "profiles/default/profile.yaml").read_text(encoding="utf-8")
    entries = yaml.safe_load(text)
    assert entries["rerun-incomplete"] is True
    assert entries["max-checksum-file-size"] == "10GB"
    assert Path(ROOT / "profiles/default").is_dir()


@pytest.mark.parametrize("name", ["slurm", "generic"])
def test_a_cluster_profile_takes_the_place_of_the_default_one(name: str) -> None:
    default, cluster = (
        yaml.safe_load((ROOT / f"profiles/{profile}/profile.yaml").read_text(encoding="utf-8"))
        for profile in ("default", name)
    )
    assert isinstance(cluster["cores"], int)  # "all" would be the login node's
    del default["cores"]
    del default["resources"]  # a limit of GPUs at once: the scheduler's matter
    assert not any(entry.startswith("gpu") for entry in cluster.get("resources", []))
    assert {key: cluster[key] for key in default} == default


def test_memory_and_time_grow_with_each_attempt(finished: Project) -> None:
    found = []
    for attempt in ("1", "2", "3", "6"):
        output = finished.run("results/datasets/home/frames/action/000.zarr/zarr.json", "-nf", "--attempt", attempt)
        found.append(tuple(int(re.search(rf"{name}=(\d+)", output)[1]) for name in ("mem_mb", "runtime")))
    (memory, time), *more = found
    assert more == [(2 * memory, 2 * time), (3 * memory, 3 * time), (3 * memory, 3 * time)]


def test_the_report_is_told_which_stages_its_artifacts_stand_on(finished: Project) -> None:
    output = finished.run("--dry-run", "--printshellcmds", "--forcerun", "write_report")
    listed = re.search(r"--artifacts <\(printf '%s\\n' (.*?)\) ", output)[1].split()
    assert "results/datasets/home/graphs/grid/{000..001}.zarr/zarr.json" in listed
    stages = json.loads(re.search(r"--stages '(\{.*?\})'", output)[1])
    of_other_models = {
        "decode_clips",
        "draw_embeddings",
        "draw_sync_mnist",
        "explain_maps",
        "extract_cast",
        "extract_features",
        "extract_front",
        "extract_maps",
        "extract_regions",
        "group_classes",
        "index_labels",
        "make_sync_mnist",
        "pretrain_videomae",
        "recognize_videos",
        "score_epic",
        "route_clips",
        "score_recognizer",
        "score_routing",
        "train_lstm",
        "train_recognizer",
    }
    assert {name for name in rule_texts() if name not in stages} == {
        *of_other_models,
        "caption_videos",
        "check_dataset",
        "describe_experiment",
        "explain_graphs",
        "import_predictions",
        "render_maps",
        "score_akg",
        "score_clip",
        "score_relevance",
        "write_gallery",
    }
    assert stages["write_report"]["jobs"] == 1
    # Two shards of `home`, and the one of the generated data set that the detector learns from.
    assert (stages["index_videos"]["jobs"], stages["make_shapes"]["jobs"]) == (3, 1)
    # Four rules make weights: each encoder has one of them.
    assert stages["extract_i3d"] == {"jobs": 2, "reads": ["decode_frames", "import_weights", "index_videos"]}
    assert stages["build_grid_nodes"] == {"jobs": 2, "reads": ["decode_frames", "finetune_clip4clip"]}


def test_the_reason_of_a_failure_comes_before_its_command(project: Project) -> None:
    (project.root / "captions.csv").write_text("no header\n", encoding="utf-8")
    done = project.snakemake("results/datasets/home/captions.json", "--quiet", "progress")
    assert done.returncode != 0
    reason, command = "error: index_captions: captions.csv", "python -m pipeline index_captions"
    assert reason in done.stdout, done.stdout
    assert done.stdout.index(reason) < done.stdout.index(command)


def test_snakemake_s_own_report_shows_scores_curves_page_and_gallery(finished: Project, tmp_path: Path) -> None:
    finished.run("--report", str(tmp_path / "report.zip"))
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        kept = {Path(name).name for name in archive.namelist() if "/data/" in name}
        page = archive.read("report/report.html").decode()
        [shown] = {
            name for name in archive.namelist() if name.endswith("index.html") and b"Scores" in archive.read(name)
        }
        assert b"What these figures are" in archive.read(shown)
    assert kept == {"scores.json", "curves.csv", "index.html"}
    assert all(f'"{name}"' in page for name in ("Report", "Scores", "Training curves", "Predictions"))
    captions = page.count("The eye downloads")
    assert captions == 2 * 2 + 2  # scores of two experiments on two splits, and their curves

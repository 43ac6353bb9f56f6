"""Captions of another system through the workflow: imported, scored, compared, shown, verified and kept."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from toys.project_sources import copy_sources
from toys.report import Page
from toys.tiny_project import Project, write_home, write_unseen

SYSTEM = {
    "kind": "external",
    "dataset": "home",
    "form": "auto",
    "ids": None,
    "tokenizer": "ptb",
    "system": "Blind",
    "trained_on": "nothing at all",
    "adaptation": "zero-shot",
    "prompt": "What is shown?",
    "optimises_cider": False,
    "source": "this test",
}
TOLD = {"clip 08.mp4": "a square is moving to the left", "clip 09": "a block number 9 moves"}
FOLDER = "results/experiments"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished report of two external experiments, and of nothing else."""
    project = Project(tmp_path_factory.mktemp("external"))
    copy_sources(project.root)
    tiny = yaml.safe_load(Path(__file__).with_name("tiny.yaml").read_text(encoding="utf-8"))
    del tiny["predictions"]  # a captioner would be trained for them
    (project.root / "tiny.yaml").write_text(yaml.safe_dump(tiny), encoding="utf-8")
    write_home(project.root)
    write_unseen(project.root)
    (project.root / "told").mkdir()
    (project.root / "told/test.json").write_text(json.dumps(TOLD), encoding="utf-8")
    (project.root / "told/val.json").write_text(json.dumps({"clip 06": "a square", "clip 07": "a block"}))
    (project.root / "hyp.txt").write_text("a block number 9 moves\na square is moving to the left\n", encoding="utf-8")
    (project.root / "ids.txt").write_text("clip 09.mp4\nclip 08.mp4\n", encoding="utf-8")
    lines = SYSTEM | {"captions": {"val": None, "test": "hyp.txt"}, "ids": "ids.txt", "form": "lines"}
    published = {"system": "Seer", "metrics": {"CIDEr": 124.18}, "optimises_cider": True, "source": "nowhere"}
    project.configure(
        experiments={"blind": SYSTEM | {"captions": "told/*.json"}, "lines": lines},
        encoders={"judge": {"like": "clip", "finetune": None}},
        report={
            "experiments": ["blind", "lines"],
            "clip_scores": {"encoder": "judge", "sampling": "action", "metric": "clip_score"},
            "published": [published | {"dataset": "home"}],
        },
    )
    project.output = project.run()
    return project


@pytest.fixture
def project(compared: Project, tmp_path: Path) -> Project:
    shutil.copytree(compared.root, tmp_path / "project", copy_function=shutil.copy2)
    return Project(tmp_path / "project")


def read(project: Project, path: str) -> dict[str, object]:
    return dict(json.loads((project.root / path).read_text(encoding="utf-8")))


def test_equal_captions_have_equal_scores_in_two_forms(compared: Project) -> None:
    blind, lines = (read(compared, f"{FOLDER}/{name}/test/scores.json") for name in ("blind", "lines"))
    assert blind == lines
    assert (blind["num_videos"], blind["num_covered"]) == (6, 2)
    assert (compared.root / f"{FOLDER}/blind/val/scores.json").is_file()
    assert not (compared.root / f"{FOLDER}/lines/val").exists()
    one, other = (
        read(compared, f"{FOLDER}/{n}/test/clip_scores/clip_score/action/judge.json") for n in ("blind", "lines")
    )
    assert one == other
    bounds = read(compared, "results/datasets/home/bounds/test.json")
    assert bounds["best"] == "blind"
    assert [row["name"] for row in bounds["rows"]] == ["commonest", "others", "reference"]
    assert read(compared, f"{FOLDER}/blind/settings.json")["experiment"]["system"] == "Blind"


def test_the_page_tells_what_they_are(compared: Project) -> None:
    page = Page((compared.root / "results/report/index.html").read_text(encoding="utf-8"))
    for expected in (
        "external Blind, zero-shot",
        "2 of 6 videos",
        "Captions of other systems",
        "Blind (this test)",
        "zero-shot; nothing at all",
        "What is shown?",
        "test: test.json (mapping), 2 of 6 videos; no caption of 4 of 6 videos of test: empty",
        "floor : the commonest training caption for every video: a square is moving to the right",
        "floor : captions of blind, each at another video",
        "ceiling : one reference of each video against its others",
        "Seer published nowhere; trained on CIDEr itself (SCST)",
        "1.242",
        "Without references",
        "by judge over frames of action",
        "these scores say nothing",
    ):
        assert expected in page.text, expected


def test_nothing_is_trained_and_nothing_runs_twice(compared: Project) -> None:
    assert compared.jobs() == set()
    made = {path.name for path in (compared.root / "results/experiments").glob("*/*")}
    assert "model.safetensors" not in made


@pytest.mark.long
def test_other_captions_are_imported_again_and_other_words_are_not(project: Project) -> None:
    (project.root / "hyp.txt").write_text("a block\na square\n", encoding="utf-8")
    jobs = project.jobs()
    assert {"import_predictions lines test", "score_captions lines test", "write_report"} <= jobs
    assert "import_predictions blind test" not in jobs
    project.run()
    project.configure(experiments={"blind": {"prompt": "What is it?"}})
    assert project.jobs() == {"describe_experiment blind", "write_report"}


def test_verify_compares_the_file_and_gc_keeps_all(project: Project) -> None:
    done = project.python("-m", "pipeline", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    done = project.python("-m", "pipeline", "gc", "--configfile", "tiny.yaml")
    assert "nothing is unneeded" in done.stdout, done.stdout + done.stderr
    (project.root / "told/test.json").write_text(json.dumps(dict.fromkeys(TOLD, "a hat")), encoding="utf-8")
    (project.root / "hyp.txt").unlink()
    done = project.python("-m", "pipeline", "verify")
    assert "the file it was imported from (test.json) holds other bytes than it did" in done.stdout
    assert "the file it was imported from (hyp.txt) is not there any more" in done.stdout


def test_what_has_no_model_captions_nothing(project: Project) -> None:
    done = project.python("-m", "pipeline", "caption", "a.mp4", "--experiment", f"{FOLDER}/blind", "--out", "o.json")
    assert done.returncode == 2
    assert "an experiment of kind external has no model of its own: another system made its captions" in done.stderr
    done = project.snakemake("--dry-run", f"{FOLDER}/lines/val/captions.json")
    assert done.returncode != 0
    assert "experiments.lines.captions: no file of split val: name one, or ask for the scores of test" in done.stdout


def test_a_bad_file_is_said_before_its_command(project: Project) -> None:
    (project.root / "told/test.json").write_text(json.dumps(TOLD | {"clip 77": "a"}), encoding="utf-8")
    done = project.snakemake("--quiet", "progress")
    assert done.returncode != 0
    assert "error: import_predictions: told/test.json: captions of 1 videos that the data set does not" in done.stdout

"""Predictions by an experiment of maps: through the rules, and by the command, which says the same."""

import json
import shutil
from pathlib import Path

import pytest
from toys.captioner import DECODING
from toys.maps import MODEL, TRAINING
from toys.project_sources import copy_sources
from toys.tiny_project import Project, write_home, write_unseen

FOLDER = "results/predictions/unseen"
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny project with a finished prediction by an LSTM captioner of I3D's maps."""
    project = Project(tmp_path_factory.mktemp("maps"))
    copy_sources(project.root)
    shutil.copy2(Path(__file__).with_name("tiny.yaml"), project.root / "tiny.yaml")
    write_home(project.root)
    write_unseen(project.root)
    parts = {"model": MODEL, "training": TRAINING.model_copy(update={"epochs": 2}), "decoding": DECODING}
    said = {"kind": "map_captioning", "dataset": "home", "captioner": "lstm", "vocabulary": "home", "seeds": [1]}
    project.configure(
        maps={"of_i3d": {"sampling": "action", "encoder": "i3d", "align_size": [4, 1, 1], "bits": 10}},
        captioners={"lstm": {"kind": "lstm"} | {name: of.model_dump(mode="json") for name, of in parts.items()}},
        experiments={"said": said | {"maps": "of_i3d"}},
        predictions={"unseen": {"experiment": "said", "dataset": "unseen"}},
        report={"experiments": ["said"]},
    )
    project.output = project.run(f"{FOLDER}/index.html", "results/experiments/said/settings.json")
    return project


def test_every_video_has_a_caption_or_a_reason(captioned: Project) -> None:
    found = json.loads((captioned.root / FOLDER / "captions.json").read_text(encoding="utf-8"))
    assert sorted(found["videos"]) == ["more/another.mp4", "one & only.mp4"]
    assert list(found["missing"]) == ["broken.mp4"]
    lines = (captioned.root / FOLDER / "captions.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["video_id,caption", *(f"{name},{video['caption']}" for name, video in found["videos"].items())]
    gallery = (captioned.root / FOLDER / "index.html").read_text(encoding="utf-8")
    assert gallery.count("<video ") == 2
    assert gallery.count("test captions (score") == 2
    assert "farther" not in gallery


def test_no_graph_is_made_for_it(captioned: Project) -> None:
    assert captioned.jobs(f"{FOLDER}/index.html") == set()
    made = {path.name for path in (captioned.root / "results/datasets/unseen").iterdir()}
    assert made == {"frames", "maps", "videos"}
    jobs = captioned.jobs(f"{FOLDER}/index.html", "--forceall")
    assert {"caption_videos unseen", "write_gallery unseen", "generate_captions said test"} <= jobs
    assert not any("graph" in job or "nodes" in job for job in jobs)


def test_the_command_says_the_same(captioned: Project) -> None:
    expected = json.loads((captioned.root / FOLDER / "captions.json").read_text(encoding="utf-8"))
    flags = ["--experiment", "results/experiments/said", "--out", "new/captions.json"]
    done = captioned.python("-m", "pipeline", "caption", "unseen", *flags)
    assert done.returncode == 0, done.stderr
    found = json.loads((captioned.root / "new/captions.json").read_text(encoding="utf-8"))
    assert found["missing"] == expected["missing"]
    told = {name: video["caption"] for name, video in found["videos"].items()}
    assert told == {name: video["caption"] for name, video in expected["videos"].items()}
    assert "2 of 3 videos captioned" in done.stderr
    assert "Warning" not in done.stderr
    found_page, expected_page = (captioned.root / "new/captions.html", captioned.root / FOLDER / "index.html")
    assert found_page.read_text(encoding="utf-8") == expected_page.read_text(encoding="utf-8")

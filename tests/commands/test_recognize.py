"""The command `recognize`: it decodes, recognizes and shows videos by an experiment that has learned nothing."""

import json
import shutil

import pytest
import torch
from toys.labelled_clips import CLASSES
from toys.recognized import recognizer
from toys.report import Page, encode

from pipeline.__main__ import main as command_line
from pipeline.commands.recognize import in_words, likeliest, main, read_experiment
from pipeline.errors import PipelineError
from pipeline.recognition.model_file import describe
from pipeline.recognition.recognizer import build_recognizer
from pipeline.weights.saving import save_weights

CLIPPING = {"fps": None, "max_frames": 8, "short_side": 40, "codec": "jpeg", "quality": 90, "time_limit": 60.0}


@pytest.fixture
def experiment(tmp_path):
    """The folder of a finished experiment: settings.json and a model of colours."""
    backbone = recognizer("plain").backbone.model_copy(update={"colours": 3})
    settings = recognizer("plain").model_copy(update={"backbone": backbone})
    folder = tmp_path / "results/experiments/plain"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    heads = {"class": CLASSES}
    model = build_recognizer(settings, {"class": len(CLASSES)})
    save_weights(model.state_dict(), folder / "model.safetensors", describe(settings, heads, "random"))
    entry = {"kind": "recognition", "dataset": "d", "clipping": "all", "recognizer": "plain", "seeds": [1]}
    chain = {
        "kind": "recognition",
        "name": "plain",
        "experiment": entry,
        "clipping": CLIPPING | {"on_bad_video": "fail"},
        "recognizer": settings.model_dump(mode="json"),
        "body": None,
    }
    (folder / "settings.json").write_text(json.dumps(chain))
    return folder


@pytest.mark.slow
def test_videos_are_recognized_and_bad_ones_listed(tmp_path, experiment, capsys):
    encode(tmp_path / "in/a.mp4")
    (tmp_path / "in/bad.mp4").write_text("no video")
    out = tmp_path / "new/found.json"
    assert main([str(tmp_path / "in"), "--experiment", str(experiment), "--out", str(out)]) == 0
    said = capsys.readouterr()
    found = json.loads(out.read_text())
    top = found["videos"]["a.mp4"]["top"]["class"]
    assert [row["class"] for row in top] != []
    assert {row["class"] for row in top} == set(CLASSES)
    assert sum(row["probability"] for row in top) == pytest.approx(1, abs=1e-5)
    assert found["missing"] == {"bad.mp4": "not a video file"}
    assert said.out.startswith(f"a.mp4: {top[0]['class']} ")
    assert said.out.count("\n") == 1
    assert "not recognized: bad.mp4: not a video file" in said.err
    assert "1 of 2 videos recognized" in said.err
    page = Page(out.with_suffix(".html").read_text(encoding="utf-8"))
    assert page.all("img")[0]["src"].startswith("data:image/jpeg;base64,")
    assert "1 recognized video" in page.text
    assert "not a video file" in page.text


@pytest.mark.slow
def test_nothing_recognized_is_an_error_with_the_reasons(tmp_path, experiment, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.mp4").write_text("no video")
    assert main(["bad.mp4", "--experiment", str(experiment)]) == 2
    assert json.loads((tmp_path / "recognized.json").read_text()) == {
        "experiment": "plain",
        "videos": {},
        "missing": {"bad.mp4": "not a video file"},
    }
    assert "No video could be recognized" in (tmp_path / "recognized.html").read_text()


def test_an_experiment_that_is_not_finished_or_of_another_kind(experiment, capsys):
    settings = experiment / "settings.json"
    content = json.loads(settings.read_text())
    probe = {"kind": "probe", "features": "tsm", "head": "linear", "heads": 1, "dropout": 0.0}
    learned = {"epochs": 1, "batch_size": 2, "lr": 0.1, "weight_decay": 0.0, "per_class": None, "patience": None}
    settings.write_text(json.dumps(content | {"recognizer": probe | {"training": learned}}))
    with pytest.raises(PipelineError, match="name the experiment that stores them, tsm"):
        read_experiment(experiment)
    settings.write_text(json.dumps(content | {"kind": "captioning"}))
    with pytest.raises(PipelineError, match="of kind captioning: classes need one of kind recognition"):
        read_experiment(experiment)
    shutil.rmtree(experiment)
    assert command_line(["recognize", "a.mp4", "--experiment", str(experiment)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: recognize: ")
    assert said.count("\n") == 1
    assert "snakemake results/experiments/plain/settings.json" in said


def test_the_likeliest_classes_are_those_of_the_mean_logits():
    import numpy as np

    logits_VK = np.array([[2.0, 0.0, 1.0, 5.0, 0.0], [0.0, 0.0, 1.0, 0.0, 1.0]], np.float32)
    top = likeliest(logits_VK, {"verb": ["cut", "wash", "peel"], "noun": ["knife", "pan"]})
    assert [row["class"] for row in top["verb"]] == ["cut", "peel", "wash"]
    assert top["verb"][0]["probability"] == pytest.approx(np.e / (2 * np.e + 1), abs=1e-5)
    assert [row["class"] for row in top["noun"]] == ["knife", "pan"]
    assert in_words(top) == "verb: cut 42 %, peel 42 %, wash 16 %; noun: knife 88 %, pan 12 %"
    assert in_words({"class": top["noun"]}) == "knife 88 %, pan 12 %"

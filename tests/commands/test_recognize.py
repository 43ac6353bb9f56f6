"""The command `recognize`: it decodes, recognizes and shows videos by an experiment that has learned nothing."""

import json
import shutil

import pytest
import torch
from toys.experts import CLIP_ARCH, MAE_ARCH, cast_settings, write_experts
from toys.labelled_clips import CLASSES
from toys.recognized import recognizer
from toys.report import Page, encode

from pipeline.__main__ import main as command_line
from pipeline.commands.recognize import in_words, likeliest, main, read_experiment
from pipeline.errors import PipelineError
from pipeline.recognition.cast_file import describe_cast
from pipeline.recognition.cast_recognizer import build_over, read_experts
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
    entry = {
        "kind": "recognition",
        "dataset": "d",
        "clipping": "all",
        "recognizer": "plain",
        "part": None,
        "seeds": [1],
    }
    chain = {
        "kind": "recognition",
        "name": "plain",
        "experiment": entry,
        "clipping": CLIPPING | {"on_bad_video": "fail"},
        "recognizer": settings.model_dump(mode="json"),
        "body": None,
        "encoders": {},
        "weights": {},
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


@pytest.fixture
def cast_experiment(tmp_path, experiment):
    """The same of a cast recognizer, beside whose experiment its encoders lie."""
    results = tmp_path / "results"
    paths = write_experts(tmp_path / "made")
    weights = {"clip": "encoders/clip/weights.safetensors", "mae": "encoders/mae/weights.safetensors"}
    for made, below in zip(paths, weights.values(), strict=True):
        (results / below).parent.mkdir(parents=True)
        made.rename(results / below)
    experts = read_experts(*(results / below for below in weights.values()))
    model = build_over(experts, cast_settings(), {"class": len(CLASSES)})
    description = describe_cast(cast_settings(), {"class": CLASSES}, experts)
    save_weights(model.part.state_dict(), experiment / "model.safetensors", description)
    encoders = {
        "clip": {"kind": "clip4clip", "arch": CLIP_ARCH, "finetune": None},
        "mae": {"kind": "videomae", "arch": MAE_ARCH, "pretrain": None},
    }
    common = {"weights": "random", "seed": 1, "precision": "fp32"}
    chain = json.loads((experiment / "settings.json").read_text())
    chain |= {"recognizer": cast_settings().model_dump(mode="json"), "weights": weights}
    chain |= {"encoders": {name: common | encoder for name, encoder in encoders.items()}}
    (experiment / "settings.json").write_text(json.dumps(chain))
    return experiment


@pytest.mark.slow
def test_cast_recognizes_videos_over_the_encoders_beside_it(tmp_path, cast_experiment, capsys):
    encode(tmp_path / "in/a.mp4")
    out = tmp_path / "found.json"
    assert main([str(tmp_path / "in"), "--experiment", str(cast_experiment), "--out", str(out)]) == 0
    top = json.loads(out.read_text())["videos"]["a.mp4"]["top"]["class"]
    assert {row["class"] for row in top} == set(CLASSES)
    (tmp_path / "results/encoders/mae/weights.safetensors").unlink()
    capsys.readouterr()
    assert command_line(["recognize", str(tmp_path / "in"), "--experiment", str(cast_experiment)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "encoders/mae/weights.safetensors: not there: the experiment is not finished here" in said


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

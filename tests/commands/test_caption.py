"""The command `caption` up to the stages; tests/workflow/test_caption.py runs them."""

import io
import json
import os
import signal
from pathlib import Path

import pytest
import yaml

from pipeline import __main__ as command_line
from pipeline.commands.caption import main, read_experiment
from pipeline.commands.given_videos import SaysOnce, terminable, video_table
from pipeline.config import validate
from pipeline.errors import PipelineError
from pipeline.workflow.experiment_chain import chain_of

ROOT = Path(__file__).parents[2]
PATHS = {
    "weights": "results/encoders/{encoder}/weights.safetensors",
    "embedding": "results/knowledge/{knowledge}/embedding.safetensors",
    "triplets": "results/knowledge/{knowledge}/triplets.json",
}
NAME = "Urlaub in K\u00f6ln -- 1.mp4"


@pytest.fixture
def results(tmp_path):
    """Results with an experiment whose weights and model are empty files: enough for what does not open them."""
    config = validate(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))).model_dump(mode="json")
    chain = chain_of(config, "grid_knowledge", PATHS)
    folder = tmp_path / "results"
    files = [*chain["weights"].values(), chain["embedding"], chain["triplets"], "experiments/mine/model.safetensors"]
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    (folder / "experiments/mine/settings.json").write_text(json.dumps(chain))
    return folder


def write(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")


def test_ids_are_paths_below_the_folder_of_all(tmp_path):
    files = [tmp_path / "a" / "clip.mp4", tmp_path / "b" / "clip.mp4", tmp_path / "b" / NAME, tmp_path / "b" / "-x.mp4"]
    write(*files)
    table, refused = video_table(files)
    assert table["root"] == tmp_path.as_posix()
    assert [video["id"] for video in table["videos"]] == ["a/clip.mp4", "b/clip.mp4", f"b/{NAME}", "b/-x.mp4"]
    assert all(video["path"] == video["id"] and video["size"] == 5 for video in table["videos"])
    assert refused == {}


def test_one_file_is_known_by_its_name(tmp_path, monkeypatch):
    write(tmp_path / NAME)
    monkeypatch.chdir(tmp_path)
    table, _ = video_table([Path(NAME)])
    assert table == {"root": tmp_path.as_posix(), "videos": [{"id": NAME, "path": NAME, "size": 5}]}


def test_a_folder_stands_for_its_videos_and_a_file_goes_in_once(tmp_path):
    write(tmp_path / "in" / "deep" / "b.mp4", tmp_path / "in" / "a.webm", tmp_path / "in" / "notes.txt")
    table, _ = video_table([tmp_path / "in", tmp_path / "in" / "a.webm", tmp_path / "in" / "deep" / ".." / "a.webm"])
    assert [video["id"] for video in table["videos"]] == ["a.webm", "deep/b.mp4"]
    (tmp_path / "in" / "a.webm").unlink()
    table, _ = video_table([tmp_path / "in"])
    assert [video["id"] for video in table["videos"]] == ["deep/b.mp4"]  # as in a data set of this folder


def test_what_gives_no_video_is_told_and_the_others_go_on(tmp_path):
    write(tmp_path / "a.mp4")
    (tmp_path / "empty").mkdir()
    latin = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    table, refused = video_table([tmp_path / "empty", latin, tmp_path / "a.mp4", tmp_path / "gone.mp4"])
    assert [(video["id"], video["size"]) for video in table["videos"]] == [("a.mp4", 5), ("gone.mp4", 0)]
    assert sorted(reason.partition(":")[0] for reason in refused.values()) == [
        "`videos",
        "the file's name is not UTF-8",
    ]
    assert all(name.isascii() for name in refused)


def test_an_experiment_that_is_not_finished(tmp_path, results):
    experiment = results / "experiments/mine"
    chain, found = read_experiment(experiment)
    assert (chain.name, found) == ("grid_knowledge", results)
    (results / "encoders/i3d/weights.safetensors").unlink()
    (results / "knowledge/captions/triplets.json").unlink()
    with pytest.raises(PipelineError) as error:
        read_experiment(experiment)
    made = "snakemake results/encoders/i3d/weights.safetensors results/knowledge/captions/triplets.json"
    assert str(error.value).endswith(made)
    with pytest.raises(
        PipelineError, match=r"snakemake results/experiments/no/settings.json results/experiments/no/mod"
    ):
        read_experiment(tmp_path / "results/experiments/no")


def test_a_trial_with_another_seed_is_refused_with_what_to_name(results):
    trial = results / "experiments/mine/seeds/2"
    trial.mkdir(parents=True)
    with pytest.raises(PipelineError, match=r"given to the first one: name the experiment itself, .*/mine$"):
        read_experiment(trial)


def test_an_experiment_of_another_kind_captions_nothing(results):
    settings = results / "experiments/mine/settings.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"kind": "recognition"}))
    with pytest.raises(PipelineError, match="of kind recognition: captions need one of kind captioning"):
        read_experiment(settings.parent)


def test_settings_of_another_version_are_refused(results):
    settings = results / "experiments/mine/settings.json"
    content = json.loads(settings.read_text())
    settings.write_text(json.dumps({key: value for key, value in content.items() if key != "graph"}))
    with pytest.raises(PipelineError, match="lacks graph: delete it and run describe_experiment again"):
        read_experiment(settings.parent)


def test_nothing_captioned_is_an_error_with_the_reasons(tmp_path, results, capsys):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "round.mp4").symlink_to("round.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    out = tmp_path / "new" / "captions.json"
    videos = [str(tmp_path / name) for name in ("empty.mp4", "text.mp4", "gone.mp4", "round.mp4", "pipe.mp4")]
    assert main(["--out", str(out), *videos, "--experiment", str(results / "experiments/mine")]) == 2
    assert json.loads(out.read_text()) == {
        "experiment": "grid_knowledge",
        "videos": {},
        "missing": {
            "empty.mp4": "the file is empty (0 bytes)",
            "gone.mp4": "there is no such file",
            "pipe.mp4": "it is a pipe, a socket or a device, not a file",
            "round.mp4": "it cannot be looked at (Too many levels of symbolic links)",
            "text.mp4": "not a video file",
        },
    }
    assert "not a video file" in out.with_suffix(".html").read_text()
    assert out.with_suffix(".csv").read_text() == "video_id,caption\n"
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("left out: text.mp4: not a video file") == 1
    assert "0 of 5 videos captioned" in said.err


@pytest.mark.parametrize("out", ["captions.html", "captions", "folder.json"])
def test_captions_go_into_a_json_file(tmp_path, results, out):
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(PipelineError, match=r"expected the name of a \.json file"):
        main(["a.mp4", "--experiment", str(results / "experiments/mine"), "--out", str(tmp_path / out)])


def test_a_table_replaces_a_table_of_captions_and_no_other_file(tmp_path, results):
    """The captions that an experiment learned from may well lie where the table would go."""
    (tmp_path / "text.mp4").write_text("no video")
    table = tmp_path / "captions.csv"
    flags = ["--experiment", str(results / "experiments/mine"), "--out", str(tmp_path / "captions.json")]
    table.write_text("video,caption\na.mp4,a dog\n")
    with pytest.raises(PipelineError, match=r"captions.json: the captions go to .*captions.csv, too, which is there"):
        main([str(tmp_path / "text.mp4"), *flags])
    assert table.read_text() == "video,caption\na.mp4,a dog\n"
    assert not (tmp_path / "captions.json").exists()
    table.write_text("video_id,caption\na.mp4,a dog\n")
    assert main([str(tmp_path / "text.mp4"), *flags]) == 2
    assert table.read_text() == "video_id,caption\n"


def test_a_mistake_is_one_line_and_a_name_may_begin_with_a_dash(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command_line.main(["caption", "--experiment", "nowhere", "--out", "x.json", "--", "-a.mp4"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: caption: nowhere/settings.json, nowhere/model.safetensors: not there")
    assert said.count("\n") == 1
    with pytest.raises(SystemExit) as stop:
        command_line.main(["caption", "--help"])
    assert stop.value.code == 0
    assert "--experiment DIR" in capsys.readouterr().out


def test_help_names_the_command(capsys):
    with pytest.raises(SystemExit):
        command_line.main(["--help"])
    assert "  caption  " in capsys.readouterr().out


def test_a_video_is_said_to_be_left_out_once():
    stream = io.StringIO()
    once = SaysOnce(stream)
    once.write("left out: a: broken\nleft out: b")
    once.write(": broken\nframes: 2\nleft out: a: broken\nframes: 2\nleft out: a: too short\n")
    assert stream.getvalue().splitlines() == [
        "left out: a: broken",
        "left out: b: broken",
        "frames: 2",
        "frames: 2",
        "left out: a: too short",
    ]


def test_a_command_that_is_told_to_end_cleans_up_first():
    cleaned = []
    with pytest.raises(SystemExit) as stop, terminable():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            cleaned.append(True)
    assert (stop.value.code, cleaned) == (143, [True])
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL

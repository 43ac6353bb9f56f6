import json
import re

import pytest

from pipeline.config import LabelledListSettings, parse_settings
from pipeline.datasets import labelled_list
from pipeline.datasets.readers import clip_form
from pipeline.errors import PipelineError


def settings(folder, **changes):
    raw = {
        "kind": "labelled_list",
        "shards": 1,
        "videos": str(folder),
        "annotations": {"train": str(folder / "train.txt"), "val": str(folder / "val.txt"), "test": None},
        "separator": "space",
        "heads": ["class"],
        "first_label": 0,
        "classes": None,
        "frames": None,
    }
    return parse_settings(LabelledListSettings, json.dumps(raw | changes))


def form(of):
    return clip_form(of.model_dump(mode="json"))


def write(folder, train, val="v.mp4 0\n"):
    (folder / "train.txt").write_text(train)
    (folder / "val.txt").write_text(val)


def read(of):
    return labelled_list.read_labels(of, form(of))


def listed(of, folder):
    return labelled_list.list_videos(folder, [folder / "train.txt", folder / "val.txt"], form(of))


def test_paths_and_labels(tmp_path):
    write(tmp_path, "jump/a b.mp4 0\nrun/b.mp4 2\nrun/gone.mp4 1\n")
    for name in ("jump/a b.mp4", "run/b.mp4", "v.mp4", "stranger.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"xyz")
    of = settings(tmp_path)
    assert [(video.id, video.path, video.size) for video in listed(of, tmp_path)] == [
        ("jump/a b.mp4", "jump/a b.mp4", 3),
        ("run/b.mp4", "run/b.mp4", 3),
        ("v.mp4", "v.mp4", 3),
    ]
    labelling = read(of)
    assert labelling.heads == {"class": ["0", "1", "2"]}
    assert not labelling.are_named
    assert labelling.labels == {"jump/a b.mp4": [0], "run/b.mp4": [2], "run/gone.mp4": [1], "v.mp4": [0]}
    assert labelling.split_of["v.mp4"] == "val"


@pytest.mark.parametrize("other", ["./run/b.mp4", "run/b", "run//b.mp4"])
def test_a_clip_has_one_name_in_all_lists(tmp_path, other):
    """It would be two clips, one trained on and one to choose the model by."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run/b.mp4").write_bytes(b"xyz")
    write(tmp_path, "run/b.mp4 1\n", f"{other} 1\n")
    with pytest.raises(PipelineError, match=rf"val.txt:1: {re.escape(other)} is the clip that is called run/b.mp4 bef"):
        listed(settings(tmp_path), tmp_path)


def test_verbs_and_nouns_of_files_without_extension(tmp_path):
    (tmp_path / "P01_01_0.mp4").write_bytes(b"xyz")
    write(tmp_path, "clip,verb,noun\nP01_01_0,0,1\nP01_01_1,1,0\n", "P02_1,1,1\n")
    for head, names in (("verb", "take\nput\n"), ("noun", "pan\ncup\n")):
        (tmp_path / f"{head}.txt").write_text(names)
    classes = {head: str(tmp_path / f"{head}.txt") for head in ("noun", "verb")}
    of = settings(tmp_path, separator="comma", heads=["verb", "noun"], classes=classes)
    assert [(video.id, video.path) for video in listed(of, tmp_path)] == [("P01_01_0", "P01_01_0.mp4")]
    labelling = read(of)
    assert labelling.heads == {"verb": ["take", "put"], "noun": ["pan", "cup"]}
    assert labelling.labels == {"P01_01_0": [0, 1], "P01_01_1": [1, 0], "P02_1": [1, 1]}


def test_folders_of_frames(tmp_path):
    write(tmp_path, "a 3 0\nsub/b 2 1\n", "gone 4 0\n")
    for folder, numbers in {"a": (1, 2), "sub/b": (0, 1)}.items():
        (tmp_path / folder).mkdir(parents=True)
        for number in numbers:
            (tmp_path / folder / f"img_{number:05d}.jpg").write_bytes(b"ab")
    of = settings(tmp_path, frames="img_%05d.jpg")
    first, second = listed(of, tmp_path)
    assert (first.id, first.size, first.frames.count, first.lacking) == ("a", 4, 3, 1)
    assert (second.id, second.path, second.lacking) == ("sub/b", "sub/b", 0)
    assert read(of).labels == {"a": [0], "sub/b": [1], "gone": [0]}


def test_labels_that_start_at_one(tmp_path):
    write(tmp_path, "a.mp4 1\nb.mp4 2\n", "c.mp4 1\n")
    with pytest.raises(
        PipelineError, match=r"the labels of class go from 1 to 2: if .* write `first_label: 1`; else na"
    ):
        read(settings(tmp_path))
    (tmp_path / "names.txt").write_text("jump\nrun\n")
    classes = {"class": str(tmp_path / "names.txt")}
    with pytest.raises(
        PipelineError, match="go from 1 to 2, and there are 2 classes: if they are counted from 1, write"
    ):
        read(settings(tmp_path, classes=classes))
    labelling = read(settings(tmp_path, classes=classes, first_label=1))
    assert labelling.labels == {"a.mp4": [0], "b.mp4": [1], "c.mp4": [0]}
    assert read(settings(tmp_path, first_label=1)).heads == {"class": ["1", "2"]}
    (tmp_path / "names.txt").write_text("jump\nrun\nwalk\n")  # the first class has no clip, and that may be
    assert read(settings(tmp_path, classes=classes)).labels["b.mp4"] == [2]


@pytest.mark.parametrize(
    ("train", "changes", "message"),
    [
        (
            "a.mp4,1\n",
            {},
            r"train.txt:1: expected path and label, separated by a space, found 'a.mp4,1': write `separator: comma`",
        ),
        ("a.mp4 one1\n", {}, r"train.txt:1: the label is 'one1': expected a whole number"),
        ("a.mp4 0\n../b.mp4 1\n", {}, r"train.txt:2: '../b.mp4' is no path of a clip"),
        ("a.mp4 0\na.mp4 1\n", {}, r"train.txt:2: a.mp4 is 1 here and 0 before: a clip has one label"),
        ("v.mp4 0\n", {}, r"val.txt:1: v.mp4 is in split val here and in train before"),
        ("a.mp4 123456789\n", {}, r"a label of class is 123,456,789: expected fewer than 100,000 where no file names"),
        ("a.mp4 -1\n", {}, r"train.txt:1: the class of a.mp4 is -1: expected 0 to"),
        ("a 0 1\n", {"frames": "%d.jpg"}, r"train.txt:1: a has 0 frames: expected 1 or more"),
        ("a 1\n", {"frames": "%d.jpg"}, r"train.txt:1: expected folder, number of frames and label, separated by a"),
        ("", {}, r"`annotations: .*train.txt`: the file is empty: expected lines of path and label"),
        ("a.mp4 0\n", {"first_label": 1}, "`first_label: 1`: a label of class is 0: write `first_label: 0`"),
    ],
)
def test_mistakes(tmp_path, train, changes, message):
    write(tmp_path, train, "v.mp4 0\n" if "frames" not in changes else "v 1 0\n")
    with pytest.raises(PipelineError, match=message):
        read(settings(tmp_path, **changes))


def test_a_label_beyond_the_classes(tmp_path):
    (tmp_path / "names.txt").write_text("jump\nrun\n")
    write(tmp_path, "a.mp4 0\nb.mp4 2\n")
    with pytest.raises(
        PipelineError, match=r"train.txt:2: the class of b.mp4 is 2: expected 0 to 1, for there are 2 cl"
    ):
        read(settings(tmp_path, classes={"class": str(tmp_path / "names.txt")}))


def test_lists_of_another_folder(tmp_path):
    write(tmp_path, "/data/a.mp4 0\n/data/b.mp4 1\n")
    with pytest.raises(
        PipelineError, match=r"nothing that the lists name is there: they tell of /data/a.mp4, /data/b.m"
    ):
        listed(settings(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": ["verb", "verb"]}, "a head may stand in `heads` once"),
        ({"classes": {"clas": "x"}}, "`classes` must name a file for each of class, or be null"),
        ({"frames": "frame.jpg"}, "should match pattern"),
    ],
)
def test_settings_that_cannot_be(tmp_path, changes, message):
    with pytest.raises(PipelineError, match=message):
        settings(tmp_path, **changes)

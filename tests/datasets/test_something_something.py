import json

import pytest

from pipeline.config import SomethingSomethingSettings, parse_settings
from pipeline.datasets import something_something
from pipeline.datasets.labelled import find_labels
from pipeline.errors import PipelineError

# Of the 174 templates, in the order of version 1's file and of the alphabet.
FIRST = [
    "Holding something",
    "Turning something upside down",
    "Turning the camera left while filming something",
    "Stacking number of something",
    "Turning the camera right while filming something",
]
ALPHABETICAL = [FIRST[0], FIRST[3], FIRST[1], FIRST[2], FIRST[4]]


def settings(folder, version, order="file", **splits):
    raw = {
        "kind": "something_something",
        "shards": 1,
        "version": version,
        "videos": str(folder),
        "annotations": str(folder),
        "label_order": order,
        "splits": {"val": "validation", "test": None} | splits,
    }
    return parse_settings(SomethingSomethingSettings, json.dumps(raw))


@pytest.fixture
def version_1(tmp_path):
    for name, lines in {
        "labels": FIRST,
        "train": [f"1;{FIRST[2]}", f"20;{FIRST[0]}", f"3;{FIRST[4]}", f"4;{FIRST[0]}"],
        "validation": [f"5;{FIRST[3]}"],
        "test": ["6"],
    }.items():
        (tmp_path / f"something-something-v1-{name}.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.fixture
def version_2(tmp_path):
    def item(clip, template):
        return {"id": clip, "label": "holding a cup", "template": template, "placeholders": ["a cup"]}

    contents = {
        "labels": {name: str(number) for number, name in enumerate(ALPHABETICAL)},
        "train": [item("1", "Holding [something]"), item("2", "Stacking [number of] [something]")],
        "validation": [item("3", "Turning the camera left while filming [something]")],
        "test": [{"id": "4"}],
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "test-answers.csv").write_text("4;Turning something upside down\n")
    return tmp_path


def test_version_1_in_the_order_of_its_file(version_1):
    found = find_labels(something_something.read_labels(settings(version_1, 1)), ["1", "20", "3", "4", "5", "6"])
    assert found.heads == {"class": FIRST}
    assert found.labels == {"1": [2], "20": [0], "3": [4], "4": [0], "5": [3]}
    assert found.splits == {"train": ["1", "20", "3", "4"], "val": ["5"], "test": []}
    assert found.flips == {"class": [0, 1, 4, 3, 2]}


def test_version_1_in_alphabetical_order_is_version_2(version_1, tmp_path):
    labelling = something_something.read_labels(settings(version_1, 1, "alphabetical"))
    assert labelling.heads == {"class": ALPHABETICAL}
    assert labelling.labels["5"] == [1]
    assert find_labels(labelling, ["1"]).flips == {"class": [0, 1, 2, 4, 3]}


def test_validation_is_cut_from_training_and_the_published_one_is_for_test(version_1):
    labelling = something_something.read_labels(settings(version_1, 1, val=0.3, test="validation"))
    (cut,) = [clip for clip, split in labelling.split_of.items() if split == "val"]
    assert cut in ("20", "4")  # of the one class that has two clips
    assert labelling.split_of["5"] == "test"
    assert labelling.notes == ["validation is cut from training: 1 of 4 clips"]


@pytest.mark.parametrize("prefix", ["", "something-something-v2-"])
def test_version_2_by_both_names_of_its_files(version_2, prefix):
    for path in list(version_2.iterdir()):
        path.rename(version_2 / f"{prefix}{path.name}")
    labelling = something_something.read_labels(settings(version_2, 2, test="answers"))
    assert labelling.heads == {"class": ALPHABETICAL}
    assert labelling.labels == {"1": [0], "2": [1], "3": [3], "4": [2]}
    assert labelling.split_of == {"1": "train", "2": "train", "3": "val", "4": "test"}
    names = {path.name for path in something_something.label_files(version_2, 2)}
    assert names == {f"{prefix}{name}" for name in ("labels.json", "train.json", "validation.json", "test-answers.csv")}


def test_clips_are_videos_or_folders_of_frames(tmp_path):
    (tmp_path / "77").mkdir()
    for number in (1, 2, 4):
        (tmp_path / f"77/{number:05d}.jpg").write_bytes(b"abc")
    (tmp_path / "12.webm").write_bytes(b"ab")
    (video,) = something_something.list_videos(tmp_path, None)
    assert (video.id, video.path, video.size) == ("12", "12.webm", 2)
    (clip,) = something_something.list_videos(tmp_path, something_something.FRAMES)
    assert (clip.id, clip.path, clip.size, clip.lacking) == ("77", "77", 9, 1)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "train",
            "1;Holding somethings\n",
            r"train.csv:1: the class 'Holding somethings' is not among the 5 of .*did you",
        ),
        ("train", "1,Holding something\n", r"train.csv:1: expected `id;template` with a semicolon"),
        ("train", "1;\n", r"train.csv:1: expected `id;template`"),
        ("train", "", r"train.csv`: the file is empty: expected lines of `id;template`"),
        ("train", "../1;Holding something\n", "would leave the data folder"),
        ("validation", "1;Turning something upside down\n", "1 is in split val here and in train before"),
        ("labels", "Holding something\nHolding something\n", "Turning the camera left.* is not among the 1 of"),
    ],
)
def test_mistakes(version_1, file, text, message):
    (version_1 / f"something-something-v1-{file}.csv").write_text(text)
    with pytest.raises(PipelineError, match=message):
        something_something.read_labels(settings(version_1, 1))


@pytest.mark.parametrize(
    ("encoding", "message"), [("utf-16", r"not UTF-8 \("), ("utf-16-le", "NUL characters, as UTF-16")]
)
def test_other_encodings(version_1, encoding, message):
    path = version_1 / "something-something-v1-train.csv"
    text = path.read_text()
    path.write_text(text, encoding=encoding)
    with pytest.raises(PipelineError, match=message):
        something_something.read_labels(settings(version_1, 1))
    path.write_text(text, encoding="utf-8-sig")
    assert something_something.read_labels(settings(version_1, 1)).labels["1"] == [2]


def test_files_that_are_missing_or_there_twice(version_2):
    (version_2 / "train.json").rename(version_2 / "training.json")
    with pytest.raises(PipelineError, match=r"there is no train.json and no something-something-v2-train.json in it"):
        something_something.read_labels(settings(version_2, 2))
    for name in ("train.json", "something-something-v2-train.json"):
        (version_2 / name).write_text("[]")
    with pytest.raises(PipelineError, match=r"train.json and something-something-v2-train.json are there: keep one"):
        something_something.read_labels(settings(version_2, 2))


@pytest.mark.parametrize(
    ("version", "splits", "message"),
    [
        (1, {"test": "answers"}, "version 1 has no published answers"),
        (2, {"test": "validation"}, "`val` and `test` are one split"),
        (2, {"val": 1.0}, "less than 1"),
    ],
)
def test_splits_that_cannot_be(tmp_path, version, splits, message):
    with pytest.raises(PipelineError, match=message):
        settings(tmp_path, version, **splits)

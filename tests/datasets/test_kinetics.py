import json

import pytest

from pipeline.config import KineticsSettings, parse_settings
from pipeline.datasets import kinetics
from pipeline.errors import PipelineError

TRAIN = """label,youtube_id,time_start,time_end,split,is_cc
"testifying",---QUuC4vJs,84,94,train,0
"eating spaghetti","--3ouPhoy2A",20,30,train,0
"dribbling basketball",--4-0ihtnBU,58,68,train,0
"testifying",--4-0ihtnBU,158,168,train,0
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.csv").write_text(TRAIN)
    (tmp_path / "validate.csv").write_text("label,youtube_id,time_start,time_end,split\ntestifying,a,1,11,validate\n")
    (tmp_path / "test.csv").write_text("youtube_id,time_start,time_end,split\nb,0,10,test\n")
    return tmp_path


def read(folder, classes=None, **files):
    annotations = {"train": str(folder / "train.csv"), "val": str(folder / "validate.csv"), "test": None} | files
    raw = {"kind": "kinetics", "shards": 1, "videos": "v", "annotations": annotations, "classes": classes}
    return kinetics.read_labels(parse_settings(KineticsSettings, json.dumps(raw)))


def test_classes_in_alphabetical_order(folder):
    labelling = read(folder, test=str(folder / "test.csv"))
    assert labelling.heads == {"class": ["dribbling basketball", "eating spaghetti", "testifying"]}
    assert labelling.labels == {
        "---QUuC4vJs_000084_000094": [2],
        "--3ouPhoy2A_000020_000030": [1],
        "--4-0ihtnBU_000058_000068": [0],
        "--4-0ihtnBU_000158_000168": [2],
        "a_000001_000011": [2],
    }
    assert labelling.unlabelled == {"b_000000_000010"}
    assert labelling.split_of["b_000000_000010"] == "test"


def test_classes_in_the_order_of_a_file(folder):
    (folder / "classes.txt").write_text("testifying\ndribbling basketball\neating spaghetti\nabseiling\n")
    labelling = read(folder, str(folder / "classes.txt"))
    assert labelling.heads["class"][3] == "abseiling"
    assert labelling.labels["a_000001_000011"] == [0]
    (folder / "classes.txt").write_text("testifying\ndribbling basketball\n")
    with pytest.raises(
        PipelineError, match=r"train.csv:3: the class 'eating spaghetti' is not among the 2 of .*classes"
    ):
        read(folder, str(folder / "classes.txt"))


def test_two_clips_of_one_video_stay_together(folder):
    labelling = read(folder, val=0.4, test=str(folder / "validate.csv"))
    assert labelling.split_of["--4-0ihtnBU_000058_000068"] == labelling.split_of["--4-0ihtnBU_000158_000168"]
    assert labelling.split_of["a_000001_000011"] == "test"
    assert "by the 3 groups" in labelling.notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label;youtube_id;time_start;time_end\nx;a;1;x\n", r"train.csv:2: `time_end` is 'x': expected a whole number"),
        (
            "label,youtube_id,start,end\n",
            r"train.csv:1: expected the header with label, youtube_id, time_start, time_e",
        ),
        ("label,youtube_id,time_start,time_end\n", r"train.csv`: no row below its header"),
        ("label,youtube_id,time_start,time_end\n,a,1,2\n", r"train.csv:2: the label of a is empty"),
        ("label,youtube_id,time_start,time_end\nx,../a,1,2\n", r"train.csv:2: the id .* would leave the data folder"),
        ("", "expected the header"),
    ],
)
def test_mistakes(folder, text, message):
    (folder / "train.csv").write_text(text)
    with pytest.raises(PipelineError, match=message):
        read(folder)


def test_a_file_that_is_no_table(folder):
    (folder / "train.txt").write_text(TRAIN)
    with pytest.raises(PipelineError, match=r"`annotations.train: .*train.txt`: expected a table, .csv or .tsv"):
        read(folder, train=str(folder / "train.txt"))

import json

import pytest

from pipeline.config import Ucf101Settings, parse_settings
from pipeline.datasets import ucf101
from pipeline.errors import PipelineError

CLASSES = "1 ApplyEyeMakeup\n2 HandstandPushups\n"
TRAIN = [f"ApplyEyeMakeup/v_ApplyEyeMakeup_g{group:02d}_c0{clip}.avi 1" for group in (8, 9, 10) for clip in (1, 2)]
# Files of this class are called otherwise than its folder, as published.
TRAIN += [f"HandstandPushups/v_HandStandPushups_g{group:02d}_c01.avi 2" for group in (8, 9)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "classInd.txt").write_text(CLASSES, newline="\r\n")
    (tmp_path / "trainlist02.txt").write_text("\n".join(TRAIN) + "\n")
    (tmp_path / "testlist02.txt").write_text("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi\n")
    return tmp_path


def settings(folder, split=2):
    files = {"kind": "ucf101", "shards": 1, "videos": "v", "annotations": str(folder)}
    raw = files | {"split": split, "decoded_as": None, "val": 0.3}
    return parse_settings(Ucf101Settings, json.dumps(raw))


def test_a_split_with_validation_by_groups(folder):
    labelling = ucf101.read_labels(settings(folder))
    assert labelling.heads == {"class": ["ApplyEyeMakeup", "HandstandPushups"]}
    assert labelling.labels["v_HandStandPushups_g08_c01"] == [1]
    assert labelling.split_of["v_ApplyEyeMakeup_g01_c01"] == "test"
    assert labelling.groups["v_ApplyEyeMakeup_g08_c02"] == "ApplyEyeMakeup_g08"
    of_val = {labelling.groups[clip] for clip, split in labelling.split_of.items() if split == "val"}
    of_train = {labelling.groups[clip] for clip, split in labelling.split_of.items() if split == "train"}
    assert len(of_val) == 2  # a group of each class
    assert len(of_train) == 3
    assert not of_val & of_train
    assert labelling.notes == ["validation is cut from training: 3 of 8 clips, by the 5 groups that they come from"]
    assert {path.name for path in ucf101.label_files(folder, 2)} == {
        "classInd.txt",
        "trainlist02.txt",
        "testlist02.txt",
    }


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "trainlist02.txt",
            "ApplyLipstick/v_x_g01_c01.avi 1\n",
            r"list02.txt:1: the class 'ApplyLipstick' is not among",
        ),
        (
            "trainlist02.txt",
            "ApplyEyeMakeup/v_x_g01_c01.avi 2\n",
            r"the label is 2, but ApplyEyeMakeup is number 1 of cla",
        ),
        ("testlist02.txt", TRAIN[0], r"g08_c01 is in split test here and in train before"),
        ("classInd.txt", "1 ApplyEyeMakeup\n3 HandstandPushups\n", "the class 'ApplyEyeMakeup' is not among"),
        ("testlist02.txt", "", "the file is empty"),
    ],
)
def test_mistakes(folder, file, text, message):
    (folder / file).write_text(text)
    with pytest.raises(PipelineError, match=message):
        ucf101.read_labels(settings(folder))


def test_the_files_of_another_split_are_missing(folder):
    with pytest.raises(PipelineError, match=r"there is no trainlist01.txt in it"):
        ucf101.read_labels(settings(folder, split=1))

import json

import pytest

from pipeline.config import Hmdb51Settings, parse_settings
from pipeline.datasets import hmdb51
from pipeline.errors import PipelineError

FILES = {
    "brush_hair_test_split1.txt": (
        "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1 \n"
        "April_09_brush_hair_u_nm_np1_ba_goo_1.avi 1 \n"
        "#20_Rhythm_clap_u_nm_np1_fr_goo_0_brush_hair.avi 0 \n"
        "Blonde_brush_hair_u_cm_np1_ri_goo_2.avi 1 \n"
    ),
    "cartwheel_test_split1.txt": "Jump_cartwheel_f_cm_np1_le_med_0.avi 2 \nFun_cartwheel_f_cm_np1_le_med_0.avi 1 \n",
    "cartwheel_test_split2.txt": "Jump_cartwheel_f_cm_np1_le_med_0.avi 1 \n",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def read(folder, split=1):
    files = {"kind": "hmdb51", "shards": 1, "videos": "v", "annotations": str(folder)}
    raw = files | {"split": split, "decoded_as": None, "val": 0.5}
    return hmdb51.read_labels(parse_settings(Hmdb51Settings, json.dumps(raw)))


def test_one_split(folder):
    labelling = read(folder)
    assert labelling.heads == {"class": ["brush_hair", "cartwheel"]}
    assert labelling.labels["Jump_cartwheel_f_cm_np1_le_med_0"] == [1]
    assert labelling.split_of["Jump_cartwheel_f_cm_np1_le_med_0"] == "test"
    assert labelling.split_of["Fun_cartwheel_f_cm_np1_le_med_0"] == "train"
    first, second, other = (labelling.split_of[clip] for clip, of in labelling.labels.items() if of == [0])
    assert first == second  # of one film
    assert {first, other} == {"train", "val"}
    assert labelling.notes[1] == "1 clips are in no part of split 1, as published"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.avi 3\n", r"cartwheel_test_split1.txt:1: expected a video and 0, 1 or 2, found 'a.avi 3'"),
        ("a.avi\n", "expected a video and 0, 1 or 2"),
        ("April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1\n", "is cartwheel here and brush_hair before"),
        ("", "the file is empty"),
    ],
)
def test_mistakes(folder, text, message):
    (folder / "cartwheel_test_split1.txt").write_text(text)
    with pytest.raises(PipelineError, match=message):
        read(folder)


def test_a_folder_without_files(folder):
    with pytest.raises(PipelineError, match=r"there is no `CLASS_test_split3.txt` in it"):
        read(folder, split=3)

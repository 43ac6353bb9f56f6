"""Valid files of labels with some bytes changed, cut or repeated: read, or refused in a line."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.artifact import write_json
from pipeline.artifact.label_index import read_label_index
from pipeline.artifact.video_table import Clip
from pipeline.config import DatasetSettings, parse_settings
from pipeline.datasets.label_readers import read_labels
from pipeline.datasets.labelled import FoundLabels
from pipeline.errors import PipelineError

IDS = ["1", "2", "3", "v_Jump_g01_c01", "v_Run_g01_c01", "a_run_1", "b_run_2", "yt_000001_000011", "zz_000000_000009"]
EPIC = "narration_id,video_id,start_timestamp,stop_timestamp,start_frame,stop_frame,verb_class,noun_class\n"
# For each kind its files, of which those of the test are changed one by one, and its other settings.
TEMPLATES = '[{"id": "1", "template": "Go [left]"}, {"id": "2", "template": "Go [right]"}]'
KINDS = {
    "something_something": (
        {"labels.json": '{"Go left": "0", "Go right": "1"}', "train.json": TEMPLATES, "validation.json": "[]"},
        {"version": 2, "label_order": "file", "splits": {"val": "validation", "test": None}},
    ),
    "labelled_list": (
        {"train.txt": "1 0\n2 1\n", "val.txt": "3 1\n", "c.txt": "0 jump\n1 run\n"},
        {"separator": "space", "heads": ["class"], "first_label": 0, "frames": None, "classes": {"class": "c.txt"}},
    ),
    "ucf101": (
        {
            "classInd.txt": "1 Jump\n2 Run\n",
            "trainlist01.txt": "Jump/v_Jump_g01_c01.avi 1\n",
            "testlist01.txt": "Run/v_Run_g01_c01.avi\n",
        },
        {"split": 1, "decoded_as": None, "val": 0.5},
    ),
    "hmdb51": (
        {"jump_test_split1.txt": "3.avi 2\n", "run_test_split1.txt": "a_run_1.avi 1\n"},
        {"split": 1, "decoded_as": None, "val": 0.5},
    ),
    "kinetics": (
        {
            "train.csv": 'label,youtube_id,time_start,time_end\n"go, up",yt,1,11\n',
            "val.csv": "label,youtube_id,time_start,time_end\ndown,zz,0,9\n",
        },
        {"classes": None},
    ),
    "epic_kitchens": (
        {
            "train.csv": f"{EPIC}1,P1,00:00:01.5,00:00:02,1,9,0,1\n",
            "val.csv": f"{EPIC}2,P1,00:00:01.5,00:00:02,1,9,1,0\n",
            "v.csv": "id,key\n0,take\n1,put\n",
        },
        {"classes": {"verb": "v.csv", "noun": "v.csv"}, "frames": None, "tail": None, "unseen": None},
    ),
    "folder": (
        {"t.csv": "video,label,split\n1,jump,train\n2,run,test\n"},
        {"captions": None, "labels": "t.csv", "splits": {"train": 0.5, "val": 0.25, "test": 0.25}},
    ),
}
CASES = [(kind, name) for kind, (files, _) in KINDS.items() for name in files]
BREAKERS = [b"", b'"', b",", b";", b" ", b"\n", b"\r", b"\0", b"\xff", b"\xe2\x80\xa8", b"../", b"x" * 300, b"[" * 2000]
VALUES = [
    b"null",
    b"-1",
    b"1e999",
    b"NaN",
    b"9" * 5000,
    b"true",
    b"[]",
    b"{}",
    b"0",
    b"2",
    b'"\\ud800"',
    b"\xef\xbb\xbf",
]
BITS = st.sampled_from([*BREAKERS, *VALUES]) | st.binary(max_size=6)
CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), BITS), min_size=1, max_size=4)
FUZZ = settings(
    max_examples=25, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


def read(kind: str, folder: Path, changed: dict[str, bytes]) -> FoundLabels:
    files, more = KINDS[kind]
    for name, text in files.items():
        (folder / name).write_bytes(changed.get(name, text.encode()))
    of_split = {split: str(path) for split in ("train", "val") for path in folder.glob(f"{split}.*")}
    annotations = of_split | {"test": None} if len(of_split) == 2 and kind != "something_something" else str(folder)
    if kind == "epic_kitchens":
        annotations = {**annotations, "challenge": None}
    raw = {"kind": kind, "shards": 1, "videos": str(folder), "annotations": annotations} | more
    if kind == "folder":
        raw |= {"labels": str(folder / "t.csv")}
        del raw["annotations"]
    if isinstance(raw.get("classes"), dict):
        raw["classes"] = {head: str(folder / name) for head, name in raw["classes"].items()}
    clips = {clip: Clip(clip, clip, folder / clip, 1, None) for clip in IDS}
    return read_labels(parse_settings(DatasetSettings, json.dumps(raw)), clips)


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_valid_as_they_are(tmp_path, kind):
    assert read(kind, tmp_path, {}).labels


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_fuzz_of_files_of_labels(kind, name):
    @given(CHANGES)
    @FUZZ
    def change_and_read(changes):
        content = KINDS[kind][0][name].encode()
        for share, num_bytes, put in changes:
            place = round(share * len(content))
            content = content[:place] + put + content[place + num_bytes :]
        with tempfile.TemporaryDirectory() as folder:
            said, found = "", None
            try:
                found = read(kind, Path(folder), {name: content})
            except PipelineError as error:
                said = str(error)
            assert said.isprintable()
            assert len(said) < 9000
            if found is not None:
                write_json(Path(folder) / "labels.json", asdict(found))
                assert read_label_index(Path(folder) / "labels.json").labels == found.labels

    change_and_read()

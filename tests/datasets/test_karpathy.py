import json

import pytest

from pipeline.config import CocoCaptionsSettings, SplitLists
from pipeline.datasets.coco_captions import read_annotations
from pipeline.errors import PipelineError


def image(file, split, *sentences, **more):
    found = [{"raw": text, "tokens": text.split(), "imgid": 0, "sentid": 0} for text in sentences]
    return {"filename": file, "imgid": 0, "split": split, "sentids": [0], "sentences": found, **more}


IMAGES = [
    image("a.mp4", "train", "A dog runs.", "dogs", filepath="train2014"),
    image("b.mp4", "restval", "b"),
    image("c_0.5_4.5", "val", "c"),
    {"filename": "d.mp4", "split": "test", "sentences": [{"tokens": ["a", "cat"]}, {"raw": None}]},
]


def read(folder, images, *splits):
    path = folder / "dataset.json"
    path.write_text(json.dumps({"dataset": "mine", "images": images}))
    lists = {split: path if split in splits else None for split in ("train", "val", "test")}
    captions = SplitLists.model_construct(**lists) if splits else path
    return read_annotations(CocoCaptionsSettings(kind="coco_captions", shards=1, videos=folder, captions=captions))


def test_one_file_names_the_splits(tmp_path):
    annotations = read(tmp_path, IMAGES)
    assert annotations.captions == {"a": ["A dog runs.", "dogs"], "b": ["b"], "c_0.5_4.5": ["c"], "d": ["a cat"]}
    assert annotations.split_of == {"a": "train", "b": "train", "c_0.5_4.5": "val", "d": "test"}
    assert annotations.num_null == 1


def test_the_same_file_for_several_splits_gives_each_its_own(tmp_path):
    annotations = read(tmp_path, IMAGES, "train", "val")
    assert annotations.split_of == {"a": "train", "b": "train", "c_0.5_4.5": "val"}
    assert list(annotations.captions) == ["a", "b", "c_0.5_4.5"]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([image("a.mp4", "trial", "x")], r"images\[0\]: `split` is 'trial': expected restval, train"),
        ([image("a.mp4", None, "x")], r"images\[0\]: `split` is None: expected restval, train"),
        ([image("../a.mp4", "train", "x")], r"images\[0\]: the id '\.\./a' would leave"),
        ([{"sentences": []}], r"images\[0\]: there is no `filename`"),
        ([image("a.mp4", "val") | {"sentences": ["x"]}], r"images\[0\]: a sentence must have `raw` or `tokens`"),
        (
            [image("a.mp4", "val", "x", filepath="p"), image("a.mp4", "val", "y", filepath="q")],
            r"images\[1\]: q/a\.mp4 and p/a\.mp4 are both called a: rename one",
        ),
        ([{"id": 1, "file_name": "a.mp4"}], r"its images name no split: name a file for each, `captions: \{train: "),
    ],
)
def test_malformed_files_are_named(tmp_path, images, message):
    with pytest.raises(PipelineError, match=rf"dataset\.json: {message}"):
        read(tmp_path, images)

"""Captions of other systems: equal ones get equal scores whatever their form, and bad ones a line."""

import json

import pytest

from pipeline.artifact import file_digest, write_json
from pipeline.config import ImportSettings
from pipeline.datasets.prediction_forms import Prediction
from pipeline.errors import PipelineError
from pipeline.stages import import_predictions, score_captions
from pipeline.stages.import_predictions import captions_by_id, names_of

SETTINGS = ImportSettings(form="auto", tokenizer="ptb")
REFERENCES = {
    "video1": ["a man is singing", "a man sings"],
    "video2": ["a cat sleeps", "a red cat is asleep"],
    "video3": ["two dogs run"],
    "video4": ["a bird"],
}
SPLITS = {"train": ["video4"], "val": ["video3"], "test": ["video1", "video2"]}
TOLD = {"video1": "a man sings a song", "video2": "a red cat"}


@pytest.fixture
def dataset(tmp_path):
    write_json(tmp_path / "captions.json", {"captions": REFERENCES, "splits": SPLITS, "missing": ["gone"]})
    return tmp_path / "captions.json"


def imported(dataset, content, name="told.json", split="test", ids=()):
    path = dataset.parent / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    out = dataset.parent / f"{name}.{split}.json"
    flags = {"predictions": path, "ids": list(ids), "captions": dataset, "split": split, "settings": SETTINGS}
    import_predictions.run(**flags, out=out, table=out.with_suffix(".csv"))
    return json.loads(out.read_text(encoding="utf-8"))


def test_captions_of_a_split_are_imported(dataset):
    found = imported(dataset, TOLD | {"video3": "dogs", "gone": "nobody sees it"})
    assert found["captions"] == TOLD
    assert found["missing"] == []
    assert found["tokenizer"] == "ptb"
    path = dataset.parent / "told.json"
    assert found["imported"] == {"file": "told.json", "digest": file_digest(path), "form": "mapping"}
    assert found["inputs"] == {"captions": {"digest": file_digest(dataset), "path": "captions.json"}}
    assert found["notes"] == ["captions of 2 videos that are not of split test are left out"]
    assert imported(dataset, TOLD | {"video3": "dogs"}, split="val")["captions"] == {"video3": "dogs"}
    table = dataset.parent / "told.json.test.csv"
    assert table.read_text() == "video_id,caption\nvideo1,a man sings a song\nvideo2,a red cat\n"


def test_what_is_missing_or_empty_is_told(dataset):
    found = imported(dataset, {"video2": " "})
    assert found["captions"] == {"video2": ""}
    assert found["missing"] == ["video1"]
    assert found["notes"] == [
        "no caption of 1 of 2 videos of test: video1",
        "empty captions of 1 videos, which score 0: video2",
    ]


@pytest.mark.slow
def test_equal_captions_have_equal_scores_in_every_form(dataset):
    (dataset.parent / "ids.txt").write_text("video2\nvideo1\n", encoding="utf-8")
    forms = {
        "results.json": [{"image_id": f"{i}.mp4", "caption": c} for i, c in TOLD.items()],
        "samples.jsonl": "".join(
            json.dumps({"doc_id": 0, "cider": {"pred": c, "video_id": i}}) + "\n" for i, c in TOLD.items()
        ),
        "mapping.json": TOLD,
        "challenge.json": {"version": "1", "captions": TOLD},
        "result.json": {"version": "1", "result": [{"video_id": i, "caption": c} for i, c in TOLD.items()]},
        "cocap.json": {"results": {i: [{"sentence": c}] for i, c in TOLD.items()}},
        "table.csv": "index,prediction,answer\n" + "".join(f"{i},{c},x\n" for i, c in TOLD.items()),
        "swinbert.tsv": "".join(f"{i}\t{json.dumps([c])}\n" for i, c in TOLD.items()),
        "hyp.txt": "a red cat\na man sings a song\n",
    }
    scores = set()
    for name, content in forms.items():
        ids = [dataset.parent / "ids.txt"] if name == "hyp.txt" else []
        assert imported(dataset, content, name, ids=ids)["captions"] == TOLD
        out = dataset.parent / f"{name}.scores.json"
        score_captions.run(
            captions=dataset.parent / f"{name}.test.json",
            references=dataset,
            split="test",
            out=out,
            per_video=dataset.parent / "per_video.csv",
        )
        scores.add(out.read_text(encoding="utf-8"))
    assert len(scores) == 1
    assert json.loads(scores.pop())["metrics"]["CIDEr"] > 0


BAD = {
    "unknown": ({"video1": "a", "video9": "b"}, r"captions of 1 videos that the data set does not have: video9 \(did"),
    "another split": ({"video4": "a"}, "1 captions, and none of the 2 videos of split test"),
    "nothing told": ("index,prediction\n", "it is of the form vlmevalkit and holds no caption"),
    "an id that is seen by its ends": ({" video1": "a", "": "b"}, r"have: ' video1' \(did .*\), '': name"),
    "two": (
        [{"image_id": "video1", "caption": "a"}, {"image_id": "video1.mp4", "caption": "b"}],
        "a second caption of",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_captions_are_refused_in_a_line(dataset, name):
    content, message = BAD[name]
    with pytest.raises(PipelineError, match=message) as raised:
        imported(dataset, content, "told.csv" if isinstance(content, str) else "told.json")
    assert "\n" not in str(raised.value)


def test_one_caption_may_stand_there_several_times(dataset):
    rows = [{"image_id": "video1", "caption": "a man"}, {"image_id": "video1", "caption": "a  man"}]
    assert imported(dataset, rows)["captions"] == {"video1": "a man"}


def test_names_stand_for_one_video_or_are_refused(tmp_path):
    assert names_of(["a/x.mp4", "y.mp4"]) == {
        "a/x": ["a/x.mp4"],
        "x.mp4": ["a/x.mp4"],
        "x": ["a/x.mp4"],
        "y": ["y.mp4"],
        "a/x.mp4": ["a/x.mp4"],
        "y.mp4": ["y.mp4"],
    }
    told = ["/data/y.avi", "C:\\all\\a\\x.mp4", "all/a/x"]
    found = captions_by_id([Prediction(name, "a man", "f") for name in told], ["a/x.mp4", "y.mp4"], tmp_path / "f")
    assert found == {"y.mp4": "a man", "a/x.mp4": "a man"}
    with pytest.raises(PipelineError, match=r"does not have: c/x\.mp4"):
        captions_by_id([Prediction("c/x.mp4", "a man", "f")], ["a/x.mp4"], tmp_path / "f")
    with pytest.raises(PipelineError, match=r"x may be a/x\.mp4 or b/x\.mp4: name one"):
        captions_by_id([Prediction("x", "a man", "f")], ["a/x.mp4", "b/x.mp4"], tmp_path / "f")

import csv
import io
import tracemalloc

import numpy as np
import pytest

from pipeline.artifact import create, read_json, write_json
from pipeline.errors import PipelineError
from pipeline.recognition.scored_clips import by_views
from pipeline.schemas import LOGITS
from pipeline.scoring.accuracy import hits_from_json
from pipeline.stages.score_recognizer import run

# Two views of three clips of three classes. By logits, clip `a` is told to be of class 1, and by probabilities of 0.
VIEWS = {
    "a": [[2.0, 0.0, 0.0], [0.0, 9.0, 0.0]],
    "b": [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]],
    "c": [[0, 0, 3.0], [0, 0, 3]],
}
LABELS = {"a": [0], "b": [0], "c": [2], "d": [1]}


def write(folder, heads=None, views=VIEWS, labels=LABELS):
    heads = heads or {"class": ["=sum", "falls", "rises"]}
    with create(
        folder / "logits.zarr", LOGITS, ids=[*views, "d"], stage="recognize_videos", settings={}, inputs={}
    ) as writer:
        for clip_id, logits in views.items():
            number = np.arange(len(logits), dtype=np.int16)
            writer.append(clip_id, logits=np.array(logits, np.float32), temporal=number, spatial=number * 0)
        writer.fail("d", "cut off")
    content = {
        "heads": heads, "labels": labels, "splits": {"train": [], "val": [], "test": list(labels)},
        "missing": ["e"], "annotated": {"train": 0, "val": 0, "test": 5}, "notes": ["half of them are gone"],
        "flips": dict.fromkeys(heads), "groups": {},
    }  # fmt: skip
    write_json(folder / "labels.json", content)


def score(folder, split="test", merge="logits"):
    places = {name: folder / name for name in ("out", "per_video", "per_class")}
    files = {"logits": folder / "logits.zarr", "labels": folder / "labels.json", "groups": []}
    run(**files, split=split, part=None, merge=merge, **places)
    tables = [list(csv.DictReader(io.StringIO(places[name].read_text()))) for name in ("per_video", "per_class")]
    return read_json(places["out"], [], "score_recognizer"), *tables


def test_scores_by_hand(tmp_path):
    write(tmp_path)
    scores, _, _ = score(tmp_path)
    assert scores["metrics"] == {"top1": pytest.approx(1 / 3), "top5": 1, "mean_class": 0.5}
    assert scores["merged_by_softmax"]["top1"] == pytest.approx(1 / 3)
    assert [row["views"] for row in scores["by_views"]] == [1, 2]
    assert [row["metrics"]["top1"] for row in scores["by_views"]] == [pytest.approx(2 / 3), pytest.approx(1 / 3)]
    assert hits_from_json(scores["statistics"]).scores() == scores["metrics"]


def test_a_clip_that_failed_is_wrong_in_nothing_and_is_listed(tmp_path):
    write(tmp_path)
    scores, by_video, _ = score(tmp_path)
    assert (scores["num_videos"], scores["num_covered"], scores["without_file"]) == (5, 3, 1)
    assert scores["failed"] == {"d": "cut off"}
    assert [row["video"] for row in by_video] == ["a", "b", "c"]
    assert scores["notes"] == [
        "half of them are gone",
        "1 labelled clips of split test have no file and are not scored",
    ]


def test_tables(tmp_path):
    write(tmp_path)
    scores, by_video, by_class = score(tmp_path)
    first = by_video[0]
    assert (first["label"], first["told"], first["rank"]) == ("'=sum", "falls", "2")
    assert float(first["probability"]) == pytest.approx((np.exp(0) / (np.exp(2) + 2) + 1) / 2, abs=1e-3)
    assert [(row["class"], row["clips"], row["top1"]) for row in by_class] == [
        ("'=sum", "2", "0.000000"),
        ("falls", "0", ""),
        ("rises", "1", "1.000000"),
    ]
    assert scores["confusions"] == [
        {"head": "class", "true": "=sum", "told": "falls", "count": 2, "share": 1.0, "clip": "b"}
    ]


def test_probabilities_and_logits_may_differ(tmp_path):
    """Two views say 0 for sure, and one says 1 with logits that are larger than those two together."""
    views = {"a": [[6.0, 0, 0], [6.0, 0, 0], [0, 13.0, 0]], "c": [[0, 0, 1.0]] * 3}
    write(tmp_path, views=views, labels={"a": [0], "c": [2]})
    scores, _, _ = score(tmp_path)
    assert scores["metrics"]["top1"] == scores["merged_by_logits"]["top1"] == 0.5
    assert scores["merged_by_softmax"]["top1"] == 1


def test_the_way_of_the_paper_makes_the_scores_that_count(tmp_path):
    """CAST merges probabilities: see the test above. Rank, confusions and numbers of views follow."""
    views = {"a": [[6.0, 0, 0], [6.0, 0, 0], [0, 13.0, 0]], "c": [[0, 0, 1.0]] * 3}
    write(tmp_path, views=views, labels={"a": [0], "c": [2]})
    scores, by_video, _ = score(tmp_path, merge="softmax")
    assert scores["merged_by"] == "softmax"
    assert scores["metrics"] == scores["merged_by_softmax"]
    assert (scores["metrics"]["top1"], scores["merged_by_logits"]["top1"]) == (1, 0.5)
    assert [row["metrics"]["top1"] for row in scores["by_views"]] == [1, 1, 1]
    assert (by_video[0]["told"], by_video[0]["rank"], scores["confusions"]) == ("'=sum", "1", [])
    with pytest.raises(PipelineError, match="--merge mean: expected logits or softmax"):
        score(tmp_path, merge="mean")


def test_numbers_of_views_take_less_memory_than_the_views():
    rng = np.random.default_rng(0)
    views = {str(number): rng.random((20, 500), np.float32) for number in range(40)}
    tracemalloc.start()
    rows = by_views(list(views), {"class": 500}, [[0]] * 40, views, "softmax")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(rows) == 20
    assert peak < sum(logits.nbytes for logits in views.values())


def test_two_heads_are_scored_apart_and_together(tmp_path):
    heads = {"noun": ["cup", "pan"], "verb": ["cut", "wash", "open"]}
    views = {"a": [[1.0, 0, 0, 0, 2.0]], "b": [[1.0, 0, 3.0, 0, 0]]}
    write(tmp_path, heads, views, {"a": [0, 2], "b": [0, 1]})
    scores, by_video, by_class = score(tmp_path)
    assert scores["metrics"]["noun_top1"] == 1
    assert scores["metrics"]["verb_top1"] == scores["metrics"]["all_top1"] == 0.5
    assert (by_video[1]["verb_label"], by_video[1]["verb_told"], by_video[1]["noun_rank"]) == ("wash", "cut", "1")
    assert len(by_class) == 5


def test_nothing_to_score_and_other_classes(tmp_path):
    write(tmp_path)
    with pytest.raises(PipelineError, match=r"none of the 0 clips of split 'val' of .* was recognized"):
        score(tmp_path, "val")
    labels = read_json(tmp_path / "labels.json", [], "index_labels")
    labels["heads"]["class"].append("more")
    write_json(tmp_path / "labels.json", labels)
    with pytest.raises(PipelineError, match=r"logits of 3 classes, but .* has 4: run recognize_videos again"):
        score(tmp_path)

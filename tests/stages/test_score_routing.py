import csv
import io

import numpy as np
import pytest
from toys.tiny_tstl import write_labels

from pipeline.__main__ import main
from pipeline.artifact import create, read_json, write_json
from pipeline.schemas import ROUTES

# Classes 0 and 2 are of group 0, classes 1 and 3 of group 1. One view of each clip; probabilities are told.
# a: class 0. The selector is right, and so is its expert.
# b: class 1. The selector is wrong, and expert 0 says 1 all the same; so does expert 1.
# c: class 3. The selector is right by a little; expert 1 says 1, and expert 0 is of no use.
CLIPS = {
    "test0": ([0.9, 0.1], [[0.5, 0.2, 0.2, 0.1], [0.1, 0.2, 0.1, 0.6]]),
    "test1": ([0.7, 0.3], [[0.1, 0.7, 0.1, 0.1], [0.1, 0.6, 0.1, 0.2]]),
    "test3": ([0.4, 0.6], [[0.4, 0.1, 0.4, 0.1], [0.1, 0.5, 0.1, 0.3]]),
}


def write(folder, clips=CLIPS):
    write_labels(folder, 4, 4, 4)
    with create(folder / "routes.zarr", ROUTES, ids=[*clips, "test2"], stage="", settings={}, inputs={}) as writer:
        for clip_id, (selector, experts) in clips.items():
            arrays = {"selector": np.log([selector]), "experts": np.log([experts])}
            number = np.zeros(1, np.int16)
            writer.append(clip_id, **arrays, temporal=number, spatial=number)
        writer.fail("test2", "cut off")


def score(folder):
    given = ["--routes", folder / "routes.zarr", "--labels", folder / "labels.json", "--groups", folder / "groups.json"]
    given += ["--split", "test", "--out", folder / "scores.json"]
    given += ["--per-video", folder / "clips.csv", "--per-class", folder / "classes.csv"]
    return main([str(word) for word in ("score_routing", *given)])


def test_selector_oracle_and_end_by_hand(tmp_path):
    """
    By view: a is told by expert 0 (0: right), b by expert 0 (1: right), c by expert 1 (1: wrong).
    By product: a 0.9 x 5/7 for class 0; b 0.7 x 1/2 for classes 0 and 2, 0.3 x 3/4 for class 1: wrong; c 0.6 x 5/8 for
    class 1: wrong.
    With the true group told: expert 0 says 0 of a; expert 1 says 1 of b and 1, wrongly, of c, in its group and in all.
    """
    write(tmp_path)
    assert score(tmp_path) == 0
    scores = read_json(tmp_path / "scores.json", [], "score_routing")
    routing = scores["routing"]
    assert routing["rule"] == "product"
    top1 = {rule: metrics["top1"] for rule, metrics in routing["rules"].items()}
    assert top1 == {"product": pytest.approx(1 / 3), "view": pytest.approx(2 / 3), "clip": pytest.approx(2 / 3)}
    assert scores["metrics"] == routing["rules"]["product"]
    assert scores["merged_by"] == "softmax"
    assert routing["selector"]["top1"] == pytest.approx(2 / 3)
    assert routing["oracle"]["top1"] == pytest.approx(2 / 3)
    assert routing["groups"] == [
        {"name": "0: left", "clips": 1, "selector": 1, "oracle": 1, "oracle_product": 1, "end": 1},
        {"name": "1: right", "clips": 2, "selector": 0.5, "oracle": 0.5, "oracle_product": 0.5, "end": 0},
    ]


def test_by_the_product_rule_a_selector_without_mistakes_may_reach_more_than_the_oracle(tmp_path):
    """The expert of group 0 takes a clip of class 0 for class 1, which is of the other group, and then for class 0."""
    write(tmp_path, {"test0": ([0.9, 0.1], [[0.3, 0.4, 0.2, 0.1], [0.1, 0.2, 0.1, 0.6]])})
    assert score(tmp_path) == 0
    routing = read_json(tmp_path / "scores.json", [], "score_routing")["routing"]
    assert (routing["rules"]["view"]["top1"], routing["oracle"]["top1"]) == (0, 0)
    assert (routing["rules"]["product"]["top1"], routing["oracle_product"]["top1"]) == (1, 1)


def test_the_rest_is_as_of_a_recognizer(tmp_path):
    write(tmp_path)
    assert score(tmp_path) == 0
    scores = read_json(tmp_path / "scores.json", [], "score_routing")
    assert (scores["num_videos"], scores["num_covered"]) == (4, 3)
    assert scores["failed"] == {"test2": "cut off"}
    assert list(scores["statistics"]["clips"]) == ["test0", "test1", "test3"]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "clips.csv").read_text())))
    assert [row["told"] for row in rows] == ["falls left", "falls left", "falls right"]
    assert float(rows[0]["probability"]) == pytest.approx(0.9 * 5 / 7, abs=1e-5)


def test_routes_of_other_groups_are_refused_in_one_line(tmp_path, capfd):
    write(tmp_path)
    content = read_json(tmp_path / "groups.json", [], "group_classes")
    content["groups"]["class"]["shrinks"] = 2
    write_json(tmp_path / "groups.json", content | {"names": [*content["names"], "2: shrinks"]})
    assert score(tmp_path) == 2
    assert "logits of (2, 4) groups and classes, but" in capfd.readouterr().err


def test_a_split_without_a_routed_clip_is_refused(tmp_path, capfd):
    write(tmp_path, {})
    assert score(tmp_path) == 2
    assert "none of the 4 clips of split 'test'" in capfd.readouterr().err

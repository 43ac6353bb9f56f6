"""Experiments on the splits of one benchmark have one mean."""

import pytest

from pipeline.report.benchmark_splits import over_splits


def scores(*top1):
    return {"test": [{"metrics": {"top1": value}} for value in top1]}


def config():
    ucf = {"kind": "ucf101", "videos": "v", "annotations": "a"}
    datasets = {f"ucf_{n}": ucf | {"split": n} for n in (1, 2, 3)}
    datasets |= {"hmdb_1": ucf | {"kind": "hmdb51", "split": 1}, "ssv2": {"kind": "something_something"}}
    experiments = {
        f"{recognizer}_{n}": {"kind": "recognition", "dataset": f"ucf_{n}", "recognizer": recognizer, "seeds": [1, 2]}
        for recognizer in ("cast", "tsm")
        for n in (1, 2, 3)
    }
    experiments["other"] = {"kind": "recognition", "dataset": "hmdb_1", "recognizer": "cast", "seeds": [1, 2]}
    experiments["third"] = {"kind": "recognition", "dataset": "ssv2", "recognizer": "cast", "seeds": [1, 2]}
    return {"datasets": datasets, "experiments": experiments}


def test_three_splits_are_a_row_by_hand():
    scored = {
        "cast_2": scores(0.5, 0.7), "tsm_1": scores(0.2, 0.2), "cast_1": scores(0.8, 1.0), "cast_3": scores(0.3, 0.3),
        "tsm_3": scores(0.4, 0.4), "other": scores(0.0, 0.0), "third": scores(1.0, 1.0),
    }  # fmt: skip
    cast, tsm = over_splits(scored, config())
    assert (cast["benchmark"], cast["recognizer"], cast["splits"]) == ("ucf101", "cast", [1, 2, 3])
    assert (cast["experiments"], cast["num_seeds"], cast["part"]) == (["cast_1", "cast_2", "cast_3"], 2, "test")
    cell = cast["cells"]["top1"]
    assert cell["values"] == pytest.approx([0.9, 0.6, 0.3])
    assert (cell["value"], cell["spread"]) == (pytest.approx(0.6), pytest.approx(0.3))
    assert (tsm["splits"], tsm["cells"]["top1"]["value"]) == ([1, 3], pytest.approx(0.3))


def test_other_videos_or_settings_are_another_benchmark():
    changed = config()
    changed["datasets"]["ucf_2"]["videos"] = "w"
    changed["experiments"]["cast_3"]["seeds"] = [1]
    assert over_splits({f"cast_{n}": scores(0.5) for n in (1, 2, 3)}, changed) == []

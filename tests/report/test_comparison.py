import numpy as np
import pytest

from pipeline.report.comparison import compare
from pipeline.scoring.statistics import COLUMNS, METRICS, Statistics


def scores(cider, ids=None):
    rows = np.zeros((len(cider), len(COLUMNS)))
    rows[:, COLUMNS.index("CIDEr")] = cider
    statistics = Statistics(tuple(ids or (f"v{number:03d}" for number in range(len(cider)))), rows)
    described = dict.fromkeys(("num_covered", "num_videos", "num_distinct"), len(cider))
    return {
        "statistics": statistics.to_json(),
        "metrics": statistics.scores(),
        **described,
        "novel_share": 0.5,
        "mean_words": 4.0,
        "notes": [],
    }


def test_differences_are_to_the_first_experiment():
    base = np.tile([0.0, 1.0, 2.0], 20)
    noise = np.tile([0.5, -0.5], 30)
    found = compare(
        {
            "plain": {"val": scores(base), "test": scores(base)},
            "better": {"test": scores(base + 0.25)},
            "worse": {"test": scores(base - 0.25)},
            "as good": {"test": scores(base + noise)},
        },
        num_resamples=200,
    )
    assert list(found) == ["test", "val"]
    assert [row["experiment"] for row in found["val"]] == ["plain"]
    cells = {row["experiment"]: row["cells"]["CIDEr"] for row in found["test"]}
    assert cells["plain"]["difference"] is None
    assert cells["plain"]["value"] == 1
    assert cells["plain"]["interval"][0] < 1 < cells["plain"]["interval"][1]
    assert {name: cells[name]["difference"].sign for name in ("better", "worse", "as good")} == {
        "better": 1,
        "worse": -1,
        "as good": 0,
    }
    assert cells["better"]["difference"].value == pytest.approx(0.25)
    assert set(found["test"][0]["cells"]) == set(METRICS)


def test_experiments_without_a_common_video_are_not_compared():
    found = compare({"a": {"test": scores([1.0, 2.0])}, "b": {"test": scores([3.0], ids=["w"])}}, 10)
    assert found["test"][1]["cells"]["CIDEr"] == {"value": 3.0, "interval": None, "difference": None}
    assert compare({}, 10) == {}

import numpy as np
import pytest

from pipeline.report.comparison import all_differences, compare
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
            "plain": {"val": [scores(base)], "test": [scores(base)]},
            "better": {"test": [scores(base + 0.25)]},
            "worse": {"test": [scores(base - 0.25)]},
            "as good": {"test": [scores(base + noise)]},
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
    found = compare({"a": {"test": [scores([1.0, 2.0])]}, "b": {"test": [scores([3.0], ids=["w"])]}}, 10)
    cell = {"value": 3.0, "values": [3.0], "spread": None, "interval": None, "difference": None}
    assert found["test"][1]["cells"]["CIDEr"] == cell
    assert compare({}, 10) == {}


def test_several_seeds_are_told_with_mean_spread_and_each():
    base = np.tile([0.0, 1.0, 2.0], 20)
    seeds = [scores(base), scores(base + 0.5), scores(base + 1.0) | {"mean_words": 5.5}]
    found = compare({"one": {"test": [scores(base)]}, "many": {"test": seeds}}, 200)["test"]
    assert [row["num_seeds"] for row in found] == [1, 3]
    assert found[1]["mean_words"] == pytest.approx((4 + 4 + 5.5) / 3)
    assert (found[1]["num_covered"], found[1]["num_videos"]) == (60, 60)
    cell = found[1]["cells"]["CIDEr"]
    assert cell["value"] == pytest.approx(1.5)
    assert cell["values"] == pytest.approx([1.0, 1.5, 2.0])
    assert cell["spread"] == pytest.approx(0.5)  # of 1, 1.5 and 2, with N - 1
    assert cell["difference"].value == pytest.approx(0.5)
    alone = compare({"many": {"test": seeds[:1]}}, 200)["test"][0]["cells"]["CIDEr"]
    assert cell["interval"][1] - cell["interval"][0] > alone["interval"][1] - alone["interval"][0]


def test_one_seed_keeps_its_figures_to_the_last_bit():
    content = scores(np.random.default_rng(8).random(40))
    row = compare({"one": {"test": [content]}}, 100)["test"][0]
    assert {metric: cell["value"] for metric, cell in row["cells"].items()} == content["metrics"]
    assert (row["novel_share"], row["mean_words"], row["num_distinct"]) == (0.5, 4.0, 40)


def test_each_two_experiments_have_their_difference():
    base = np.tile([0.0, 1.0, 2.0], 20)
    scored = {
        "plain": {"test": [scores(base)]},
        "better": {"test": [scores(base + 0.25)]},
        "best": {"test": [scores(base + 0.5)]},
        "elsewhere": {"test": [scores(base, [f"w{number}" for number in range(60)])]},
        "unscored": {"val": [scores(base)]},
    }
    found = {(pair["one"], pair["other"]): pair["cells"]["CIDEr"] for pair in all_differences(scored, "test", 100)}
    assert list(found) == [("plain", "better"), ("plain", "best"), ("better", "best")]
    assert found["better", "best"] == (pytest.approx(-0.25), pytest.approx((-0.25, -0.25)))

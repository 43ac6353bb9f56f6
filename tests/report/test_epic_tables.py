"""The report's tables of EPIC-Kitchens."""

import pytest

from pipeline.report.epic import METRICS, epic_tables


def part(action_top1, clips=4):
    figures = dict.fromkeys(METRICS, 0.5) | {"action_top1": action_top1}
    return {"clips": {"verb": clips, "noun": clips, "action": clips}} | figures


def test_parts_that_are_known_have_a_table_with_mean_and_spread():
    one = {"parts": {"all": part(0.2), "tail": part(None, 0), "unseen": part(0.5, 2)}}
    two = {"parts": {"all": part(0.4), "tail": part(None, 0), "unseen": part(0.5, 2)}}
    alone = {"parts": {"all": part(0.1), "tail": None, "unseen": None}}
    tables = epic_tables({"cast": [one, two], "tsm": [alone]})
    assert [(table["part"], table["clips"]["action"]) for table in tables] == [("all", 4), ("unseen", 2)]
    assert [row["experiment"] for row in tables[0]["rows"]] == ["cast", "tsm"]
    assert [row["experiment"] for row in tables[1]["rows"]] == ["cast"]
    cell = tables[0]["rows"][0]["cells"]["action_top1"]
    assert (cell["value"], cell["values"]) == (pytest.approx(0.3), [0.2, 0.4])
    assert cell["spread"] == pytest.approx(0.1 * 2**0.5)
    assert tables[0]["rows"][1]["cells"]["action_top1"]["spread"] is None

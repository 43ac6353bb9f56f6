"""Ways take turns, rows say whether their goals are met, and programs write what they print."""

import json
import time

import pytest

from benchmarks import measuring
from benchmarks.__main__ import main as all_benchmarks
from benchmarks.measuring import Row, take_turns

ROWS = [
    Row("step", "2 ms", "before: 5 ms", 2.5, 2),
    Row("step", "40 GFLOP/s", "100 GFLOP/s", 0.4, 0.5, "%"),
    Row("graphs", "4 ms", "", 4, 3, "ms", at_most=True),
    Row("start", "1 s", "", 1, unit="s"),
    Row("distance", "2e-11", "", 2e-11, 1e-4, "", at_most=True),
]


def test_a_goal_is_met_from_its_own_side():
    assert [row.is_met for row in ROWS] == [True, False, False, True, True]


def test_table():
    assert measuring.table(ROWS).splitlines()[2:] == [
        "| step | 2 ms | before: 5 ms | 2.5 x | ≥ 2 x |",
        "| step | 40 GFLOP/s | 100 GFLOP/s | 40 % | ≥ 50 %, missed |",
        "| graphs | 4 ms |  | 4 ms | ≤ 3 ms, missed |",
        "| start | 1 s |  | 1 s |  |",
        "| distance | 2e-11 |  | 2e-11 | ≤ 0.0001 |",
    ]


def test_ways_take_turns_after_a_warm_up_each():
    calls: list[str] = []
    fast, slow = take_turns([lambda: calls.append("a"), lambda: (calls.append("b"), time.sleep(0.02))], rounds=2)
    assert calls == ["a", "b"] * 3
    assert fast.wall < 10 < 20 <= slow.wall
    assert slow.cpu < 10  # sleep costs no processor time


def test_a_program_writes_what_it_prints(tmp_path, capsys):
    file = tmp_path / "rows.json"
    assert measuring.main("some", "Some.\n\nMore.", lambda _: ROWS, ["--rounds", "1", "--json", str(file)]) == 0
    assert capsys.readouterr().out == measuring.table(ROWS) + "\n"
    assert [Row(**row) for row in json.loads(file.read_text())] == ROWS


def test_an_unknown_benchmark_is_named(capsys):
    with pytest.raises(SystemExit, match="2"):
        all_benchmarks(["training_stepp"])
    assert "there is no benchmark training_stepp: expected some of training_step" in capsys.readouterr().err

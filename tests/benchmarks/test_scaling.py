"""What is done once for a shard is taken off, and the table compares with the smallest data set."""

import pytest

from benchmarks import memory, scaling
from benchmarks.scaling import Cost, measure, of_a_video, table


def test_the_table_compares_with_the_smallest():
    lines = table({"convert_graphs": {100: Cost(0.002, 208_000, 24), 1000: Cost(0.0021, 207_000, 26)}}).splitlines()
    assert lines[2] == "| `convert_graphs` | 100 | 2.00 | 208,000 | 24 | 1.00 |"
    assert lines[3] == "| `convert_graphs` | 1,000 | 2.10 | 207,000 | 26 | 1.05 |"


def test_what_is_done_once_is_taken_off(tmp_path, monkeypatch):
    costs = {3: Cost(0.5, 1_000, 8), 103: Cost(0.7, 21_000, 9)}
    monkeypatch.setattr(scaling, "measure", lambda _, __, num_videos: costs[num_videos])
    assert of_a_video("convert_graphs", tmp_path, tmp_path, 103) == pytest.approx((0.002, 200, 9))


@pytest.mark.parametrize("stage", scaling.GRAPH_STAGES)
def test_a_graph_stage_is_measured(tmp_path, monkeypatch, stage):
    monkeypatch.setattr(memory, "FRAMES", 2)
    monkeypatch.setattr(memory, "NODE_DIM", 8)
    scaling.make_inputs(tmp_path, 4, is_clips=False)
    first, second = (measure(stage, tmp_path, 4) for _ in range(2))
    assert first.cpu > 0
    assert first.num_files >= 8
    assert first[1:] == second[1:]


@pytest.mark.slow
def test_clip_stages_are_measured(tmp_path):
    scaling.make_inputs(tmp_path, 3, is_clips=True)
    for stage in scaling.CLIP_STAGES:
        cost = measure(stage, tmp_path, 3)
        assert min(cost) > 0

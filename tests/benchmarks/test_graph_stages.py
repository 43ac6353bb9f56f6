"""The stages make the graph that the reference's loops make, and a row says what one video costs."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from benchmarks import graph_stages, memory
from pipeline.artifact import read
from pipeline.schemas import GRAPHS


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(memory, "FRAMES", 3)
    monkeypatch.setattr(memory, "NODE_DIM", 8)
    monkeypatch.setattr(memory, "MOTION_DIM", 5)
    monkeypatch.setattr(graph_stages, "FEW", 1)
    monkeypatch.setattr(graph_stages, "MANY", 3)


def test_the_reference_makes_the_same_graph(tmp_path):
    memory.make(tmp_path, 1)
    graph_stages.our_stages(tmp_path)()
    rows = read(tmp_path / "made1/graphs.zarr", GRAPHS).video("video0")
    video = memory.random_videos(1)[0]
    plain = graph_stages.plain_graph(video["nodes"], video["motion"]["motion"])
    ours = np.stack([rows["source"], rows["target"]])
    order = np.lexsort(ours[::-1])  # row by row, as the reference goes over its pairs
    assert_array_equal(ours[:, order], plain["edge_index"])
    features = np.zeros((len(order), 5))
    features[tuple(plain["coordinates"])] = plain["values"]
    is_within = rows["kind"][order] == 0
    of_frame = rows["motion"][rows["node_frame"][rows["target"][order][is_within]]]
    assert_array_equal(features[is_within], of_frame)
    assert_allclose(features[~is_within, 0], rows["weight"][order][~is_within], rtol=2**-11)
    assert not features[~is_within, 1:].any()


def test_rows_are_of_one_video():
    of_time, of_bytes = graph_stages.rows(1)
    assert (of_time.unit, of_time.goal, of_time.at_most) == ("ms", 3, True)
    assert (of_bytes.unit, of_bytes.goal, of_bytes.at_most) == ("MB", 0.3, True)
    assert 0 < of_bytes.ratio < 0.01

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from torch_geometric.data import Batch

from pipeline.artifact import ArtifactError, create, read
from pipeline.errors import PipelineError
from pipeline.models.action_graph import ActionGraph, GraphSet, action_graph, load_graphs
from pipeline.schemas import GRAPHS


def rows_of(num_nodes: int = 3, num_frames: int = 2, scale: float = 1.0) -> dict[str, np.ndarray]:
    """Node 0 in frame 0, the others in frame 1; an edge within frame 0 and one from node 0 to node 1."""
    edges = min(num_nodes, 2)
    return {
        "x": np.full((num_nodes, 4), scale, np.float16),
        "node_frame": np.minimum(np.arange(num_nodes), 1).astype(np.int16),
        "box": np.zeros((num_nodes, 4), np.float16),
        "source": np.array([0, 0], np.int16)[:edges],
        "target": np.array([0, 1], np.int16)[:edges],
        "kind": np.array([0, 1], np.uint8)[:edges],
        "weight": np.array([1, 0.25], np.float16)[:edges],
        "motion": (scale * np.arange(1, 1 + 3 * num_frames).reshape(num_frames, 3)).astype(np.float16),
    }


def write(path: Path, videos: dict[str, dict[str, np.ndarray]], failed: dict[str, str] | None = None) -> Path:
    failed = failed or {}
    with create(path, GRAPHS, ids=[*videos, *failed], stage="convert_graphs", settings={}, inputs={}) as writer:
        for video_id, rows in videos.items():
            writer.append(video_id, **rows)
        for video_id, reason in failed.items():
            writer.fail(video_id, reason)
    return path


def test_fields_and_types():
    graph = action_graph(rows_of())
    assert graph.edge_index.tolist() == [[0, 0], [0, 1]]
    assert graph.edge_frame.tolist() == [0, 1]  # of the target
    assert {graph[name].dtype for name in ("x", "node_box", "edge_weight", "motion")} == {torch.float32}
    assert {graph[name].dtype for name in ("node_frame", "edge_index", "edge_kind", "edge_frame")} == {torch.int64}
    assert (graph.num_nodes, graph.num_edges) == (3, 2)


def test_expand_written_out():
    expanded = action_graph(rows_of()).expand()
    assert_close(expanded, torch.tensor([[1.0, 2, 3], [0.25, 0, 0]]))


def test_batch_offsets_nodes_by_nodes_and_frames_by_frames():
    graphs = [action_graph(rows_of()), action_graph(rows_of(num_nodes=0, num_frames=4)), action_graph(rows_of())]
    batch = Batch.from_data_list(graphs, follow_batch=["motion"])
    assert batch.edge_index.tolist() == [[0, 0, 3, 3], [0, 1, 3, 4]]
    assert batch.node_frame.tolist() == [0, 1, 1, 6, 7, 7]  # frames 2 to 5 have no nodes
    assert batch.edge_frame.tolist() == [0, 1, 6, 7]
    assert batch.edge_kind.tolist() == [0, 1, 0, 1]
    assert batch.motion_batch.tolist() == [0, 0, 1, 1, 1, 1, 2, 2]
    assert batch.batch.tolist() == [0, 0, 0, 2, 2, 2]
    assert batch.num_nodes == 6
    assert_close(batch.expand(), torch.cat([graph.expand() for graph in graphs]))
    for graph, again in zip(graphs, batch.to_data_list(), strict=True):
        assert isinstance(again, ActionGraph)
        assert all(torch.equal(value, again[name]) for name, value in graph)


@pytest.mark.parametrize("num_frames", [0, 2])
def test_a_graph_without_nodes(num_frames: int):
    graph = action_graph(rows_of(num_nodes=0, num_frames=num_frames))
    assert (graph.num_nodes, graph.num_edges) == (0, 0)
    assert graph.expand().shape == (0, 3)
    batch = Batch.from_data_list([graph, graph], follow_batch=["motion"])
    assert batch.num_nodes == 0
    assert len(batch.motion) == 2 * num_frames


@pytest.mark.parametrize("in_memory_bytes", [0, 2**20])
def test_graph_set_reads_every_video_of_every_shard(tmp_path: Path, in_memory_bytes: int):
    first = {"a": rows_of(scale=1), "empty": rows_of(num_nodes=0, scale=2), "b-c": rows_of(num_nodes=5, scale=3)}
    second = {"d": rows_of(scale=4)}
    paths = [
        write(tmp_path / "000.zarr", first, {"lost": "truncated"}),
        write(tmp_path / "001.zarr", second) / "zarr.json",
        write(tmp_path / "002.zarr", {}),
    ]
    graphs = GraphSet([read(path, GRAPHS) for path in paths], in_memory_bytes)
    assert graphs.in_memory == bool(in_memory_bytes)
    assert list(graphs) == graphs.ids == ["a", "empty", "b-c", "d"]
    assert graphs.failed == {"lost": "truncated"}
    assert len(graphs) == 4
    assert "d" in graphs
    assert "lost" not in graphs
    for video_id, rows in (first | second).items():
        assert all(torch.equal(value, graphs[video_id][name]) for name, value in action_graph(rows))


def test_changing_a_graph_does_not_change_the_set(tmp_path: Path):
    graphs = load_graphs([write(tmp_path / "000.zarr", {"a": rows_of()})])
    graphs["a"].x.zero_()
    graphs["a"].motion.zero_()
    assert graphs["a"].x.eq(1).all()
    assert graphs["a"].motion.gt(0).all()


def test_the_limit_counts_every_row(tmp_path: Path):
    path = write(tmp_path / "000.zarr", {"a": rows_of(), "b": rows_of(num_nodes=5)})
    total = sum(array.nbytes for rows in (rows_of(), rows_of(num_nodes=5)) for array in rows.values())
    assert GraphSet([read(path, GRAPHS)], total).in_memory
    assert not GraphSet([read(path, GRAPHS)], total - 1).in_memory


def test_a_video_in_two_stores_is_refused(tmp_path: Path):
    paths = [write(tmp_path / name, {"a": rows_of()}) for name in ("000.zarr", "001.zarr")]
    with pytest.raises(PipelineError, match="video a is also in"):
        load_graphs(paths)


def test_a_missing_store_names_the_stage(tmp_path: Path):
    with pytest.raises(ArtifactError, match="convert_graphs"):
        load_graphs([tmp_path / "000.zarr"])

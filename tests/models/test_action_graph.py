from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from pipeline.artifact import Artifact, ArtifactError, create, read
from pipeline.captioning.graph_set import GraphSet, load_graphs
from pipeline.errors import PipelineError
from pipeline.models.action_graph import ActionGraph, action_graph, batch_graphs
from pipeline.schemas import GRAPHS, KNOWLEDGE, NODES, PAIR_MOTION, Schema


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


def write(
    path: Path,
    videos: dict[str, dict[str, np.ndarray]],
    failed: dict[str, str] | None = None,
    schema: Schema = GRAPHS,
) -> Path:
    failed = failed or {}
    with create(path, schema, ids=[*videos, *failed], stage="convert_graphs", settings={}, inputs={}) as writer:
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
    batch = batch_graphs(graphs)
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
    batch = batch_graphs([graph, graph])
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
    graphs = GraphSet([read(path, GRAPHS) for path in paths], in_memory_bytes=in_memory_bytes)
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
    assert GraphSet([read(path, GRAPHS)], in_memory_bytes=total).in_memory
    assert not GraphSet([read(path, GRAPHS)], in_memory_bytes=total - 1).in_memory


def test_what_fits_is_held_and_only_the_rest_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    videos = {"a": rows_of(num_nodes=5), "b": rows_of(scale=2)}
    path = write(tmp_path / "000.zarr", videos)
    total = sum(array.nbytes for rows in videos.values() for array in rows.values())
    graphs = GraphSet([read(path, GRAPHS)], in_memory_bytes=total - 1)  # all but the last of the largest, `x`
    asked = []
    from_disk = Artifact.video

    def counting(artifact: Artifact, video_id: str, names: list[str]) -> dict[str, np.ndarray]:
        asked.append((video_id, names))
        return from_disk(artifact, video_id, names)

    monkeypatch.setattr(Artifact, "video", counting)
    for video_id in ("b", "a"):
        graph = graphs[video_id]
        assert all(torch.equal(value, graph[name]) for name, value in action_graph(videos[video_id]))
    assert asked == [("b", ["x"]), ("a", ["x"])]


def test_a_video_in_two_stores_is_refused(tmp_path: Path):
    paths = [write(tmp_path / name, {"a": rows_of()}) for name in ("000.zarr", "001.zarr")]
    with pytest.raises(PipelineError, match="video a is also in"):
        load_graphs(paths)


def test_a_missing_store_names_the_stage(tmp_path: Path):
    with pytest.raises(ArtifactError, match="convert_graphs"):
        load_graphs([tmp_path / "000.zarr"])


def pairs_of(edge_pair: list[int], scale: float = 1.0) -> dict[str, np.ndarray]:
    """Two boxes of motion (10, 20, 30) and (40, 50, 60), times `scale`."""
    return {
        "motion": scale * np.arange(10.0, 70, 10).reshape(2, 3),
        "box": np.zeros((2, 4)),
        "pair_frame": np.zeros(2, int),
        "edge_pair": np.array(edge_pair, int),
    }


NO_PAIRS = {
    "motion": np.zeros((0, 3)),
    "box": np.zeros((0, 4)),
    "pair_frame": np.zeros(0, int),
    "edge_pair": np.zeros(0, int),
}


def test_expand_takes_the_motion_of_pairs_where_it_is_there():
    rows = rows_of() | {
        "source": np.array([0, 1, 0, 2]),
        "target": np.array([0, 2, 1, 2]),
        "kind": np.array([0, 0, 1, 0]),
        "weight": np.array([1, 1, 0.25, 1]),
    }
    graph = action_graph(rows, pairs_of([1, 0, 1]))
    assert graph.edge_pair.tolist() == [1, 0, 0, 1]  # the edge between frames has no pair
    expected = torch.tensor([[40.0, 50, 60], [10, 20, 30], [0.25, 0, 0], [40, 50, 60]])
    assert_close(graph.expand(), expected)
    empty = action_graph(rows_of(num_nodes=0), NO_PAIRS)
    batch = batch_graphs([graph, empty, action_graph(rows, pairs_of([0, 0, 1], 2))])
    assert batch.edge_pair.tolist() == [1, 0, 0, 1, 2, 2, 2, 3]
    twice = torch.tensor([[20.0, 40, 60], [20, 40, 60], [0.25, 0, 0], [80, 100, 120]])
    assert_close(batch.expand(), torch.cat([expected, twice]))
    assert empty.expand().shape == (0, 3)
    for one, again in zip([graph, empty], batch.to_data_list()[:2], strict=True):
        assert all(torch.equal(value, again[name]) for name, value in one)


def test_expand_of_a_last_graph_without_pairs():
    """Nodes whose features are all zero have no edge within their frame; an edge of theirs must not be looked up."""
    rows = rows_of() | {name: rows_of()[name][1:] for name in ("source", "target", "kind", "weight")}
    batch = batch_graphs([action_graph(rows_of(), pairs_of([1])), action_graph(rows, NO_PAIRS)])
    assert batch.edge_pair[-1] == len(batch.pair_motion)
    assert_close(batch.expand(), torch.tensor([[40.0, 50, 60], [0.25, 0, 0], [0.25, 0, 0]]))


def test_a_batch_says_whose_rows_are_whose():
    graphs = [
        action_graph(rows_of(), knowledge=np.full((num_rows, 5), num_rows), objects=np.full((num_objects, 7), 0.5))
        for num_rows, num_objects in ((2, 0), (0, 3), (1, 1))
    ]
    batch = batch_graphs(graphs)
    assert batch.knowledge_batch.tolist() == [0, 0, 2]
    assert batch.knowledge[:, 0].tolist() == [2, 2, 1]
    assert batch.objects_batch.tolist() == [1, 1, 1, 2]
    assert batch.objects.shape == (4, 7)
    assert batch.knowledge.dtype == batch.objects.dtype == torch.float32
    nobody = batch_graphs(graphs[:1] * 2)
    assert nobody.objects.shape == (0, 7)
    assert nobody.objects_batch.tolist() == []
    assert not {"knowledge", "knowledge_batch", "objects", "pair_motion"} & set(
        batch_graphs([action_graph(rows_of())]).keys()
    )


def knowledge_of(values: list[float]) -> dict[str, np.ndarray]:
    zeros = np.zeros(len(values), int)
    x = np.repeat(np.array(values, float)[:, None], 2, axis=1)
    return {"x": x, "is_relation": zeros, "word": zeros, "similarity": zeros.astype(float)}


def objects_of(features: list[float]) -> dict[str, np.ndarray]:
    frames = np.arange(len(features))
    return {
        "x": np.array(features, float).reshape(-1, 1),
        "node_frame": frames,
        "box": np.tile([0, 0.25, 0.5, 1], (len(features), 1)),
        "label": frames,
        "score": np.ones(len(features)),
        "frame_time": np.zeros(2),
    }


@pytest.mark.parametrize("in_memory_bytes", [0, 2**20])
def test_a_set_with_all_there_is(tmp_path: Path, in_memory_bytes: int):
    """Two shards; "b" failed in everything but its graph, "d" failed with its graph."""
    graphs = [
        write(tmp_path / "g0", {"a": rows_of(), "b": rows_of()}),
        write(tmp_path / "g1", {"c": rows_of()}, {"d": "cut"}),
    ]
    pairs = [
        write(tmp_path / "p0", {"a": pairs_of([1])}, {"b": "gone"}, PAIR_MOTION),
        write(tmp_path / "p1", {"c": pairs_of([0], 3)}, {"d": "cut"}, PAIR_MOTION),
    ]
    knowledge = [
        write(tmp_path / "k0", {"a": knowledge_of([1, 2])}, {"b": "no frame"}, KNOWLEDGE),
        write(tmp_path / "k1", {"c": knowledge_of([])}, {"d": "cut"}, KNOWLEDGE),
    ]
    objects = [
        write(tmp_path / "o0", {"a": objects_of([7])}, {"b": "too large"}, NODES),
        write(tmp_path / "o1", {"c": objects_of([8, 9])}, {"d": "cut"}, NODES),
    ]
    stores = [
        [read(path, schema) for path in paths]
        for paths, schema in ((graphs, GRAPHS), (pairs, PAIR_MOTION), (knowledge, KNOWLEDGE), (objects, NODES))
    ]
    known = GraphSet(*stores, in_memory_bytes=in_memory_bytes)
    assert known.in_memory == bool(in_memory_bytes)
    assert known.ids == list(known) == ["a", "c"]
    assert known.failed == {"b": "gone", "d": "cut"}
    assert len(known) == 2
    assert "b" not in known
    with pytest.raises(KeyError):
        known["b"]
    assert known["a"].expand()[0].tolist() == [40, 50, 60]
    assert known["c"].expand()[0].tolist() == [30, 60, 90]
    assert known["a"].knowledge.tolist() == [[1, 1], [2, 2]]
    assert known["c"].knowledge.shape == (0, 2)
    assert known["c"].objects.tolist() == [[0, 0.25, 0.5, 1, 8], [0, 0.25, 0.5, 1, 9]]
    without_pairs = load_graphs(graphs, knowledge=knowledge, objects=objects)
    assert without_pairs.ids == ["a", "b", "c"]
    assert without_pairs["b"].knowledge.shape == (0, 2)
    assert without_pairs["b"].objects.shape == (0, 5)
    assert "pair_motion" not in without_pairs["a"]


def test_a_shard_that_was_not_given_is_missed(tmp_path: Path):
    graphs = [write(tmp_path / "g0", {"a": rows_of()}), write(tmp_path / "g1", {"b": rows_of()})]
    knowledge = [write(tmp_path / "k0", {"a": knowledge_of([1])}, schema=KNOWLEDGE)]
    with pytest.raises(ArtifactError, match=r"k0: video b is missing, expected every shard"):
        load_graphs(graphs, knowledge=knowledge)


def test_pairs_of_other_edges_are_refused(tmp_path: Path):
    graphs = [write(tmp_path / "g", {"a": rows_of()})]
    pairs = [write(tmp_path / "p", {"a": pairs_of([0, 1])}, schema=PAIR_MOTION)]
    with pytest.raises(PipelineError, match="pair_motion has 2 edges, its graph has 1 within frames"):
        load_graphs(graphs, pair_motion=pairs)["a"]

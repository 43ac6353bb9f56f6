from pathlib import Path

import numpy as np
import pytest
import torch
from toys.graph_rows import pairs_of, rows_of

from pipeline.artifact import Artifact, ArtifactError, create, read
from pipeline.captioning.graph_set import GraphList, GraphSet, load_graphs
from pipeline.errors import PipelineError
from pipeline.models.action_graph import action_graph
from pipeline.schemas import GRAPHS, KNOWLEDGE, NODES, PAIR_MOTION, Schema


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


def test_graphs_of_some_videos_are_a_sequence(tmp_path: Path):
    graphs = load_graphs([write(tmp_path / "000.zarr", {"a": rows_of(), "b": rows_of(scale=2), "c": rows_of(scale=3)})])
    chosen = GraphList(graphs, ["c", "a"])
    assert len(chosen) == 2
    assert [float(graph.x[0, 0]) for graph in chosen] == [3, 1]


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

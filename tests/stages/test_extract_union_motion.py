"""The boxes around two nodes: which there are, each computed once, and the features of the right pixels."""

import json

import numpy as np
import pytest
import torch
from toys.motion_encoders import counting, interrupted_after

from pipeline.artifact import create, read, write_json
from pipeline.captioning.graph_set import load_graphs
from pipeline.config import I3dSettings, SamplingSettings, SimilaritySettings
from pipeline.errors import PipelineError, VideoError
from pipeline.models.i3d import InceptionI3d, calibrate, load_i3d, normalise, randomise
from pipeline.models.motion_encoding import make_encoder
from pipeline.schemas import FRAMES, MOTION, NODES, PAIR_MOTION
from pipeline.stages import (
    build_spatial_graphs,
    build_temporal_graphs,
    convert_graphs,
    decode_frames,
    extract_i3d,
    extract_union_motion,
)
from pipeline.stages.build_grid_nodes import frame_boxes
from pipeline.stages.build_spatial_graphs import spatial_edges
from pipeline.stages.extract_union_motion import Cuts, Plan, pixel_boxes, plan_video, union_boxes, warp
from pipeline.video import windows
from pipeline.video.decoding import open_video, read_frames
from pipeline.video.windows import WindowFrames, WindowRequest, read_window_frames
from pipeline.weights.saving import save_weights

SIZE = 42  # of a square frame of 48 pixels extract_i3d takes the middle 42 as they are: 256/224 of 42 is 48
MIDDLE = [3 / 48, 3 / 48, 45 / 48, 45 / 48]
SETTINGS = I3dSettings(
    kind="i3d", weights="random", seed=1, calibrate_on="clips", calibration_clips=4, size=SIZE, precision="fp32"
)
SAMPLING = SamplingSettings(fps=5.0, max_frames=20, short_side=448, window=16, time_limit=60.0, on_bad_video="record")


def frames_of(numbers, size_hw=(96, 96), num_frames=40):
    return {"number": np.array(numbers), "size": np.array([size_hw]), "num_frames": np.array([num_frames])}


def nodes_of(boxes_by_frame):
    node_frame = [frame for frame, boxes in enumerate(boxes_by_frame) for _ in boxes]
    boxes = [box for boxes in boxes_by_frame for box in boxes]
    return {
        "box": np.array(boxes, np.float16).reshape(-1, 4),
        "node_frame": np.array(node_frame, np.int16),
        "frame_time": np.zeros(len(boxes_by_frame)),
    }


def edges_of(nodes):
    return spatial_edges(np.ones((len(nodes["box"]), 1)), nodes["node_frame"])


def test_boxes_are_rounded_to_pixels_and_never_empty():
    boxes = np.array([[0, 0, 1, 1], [0.124, 0.26, 0.5, 0.51], [0.3, 0.3, 0.3, 0.3], [1, 1, 1, 1], [-0.1, 0, 0.5, 1.2]])
    expected = [[0, 0, 8, 4], [1, 1, 4, 2], [2, 1, 3, 2], [7, 3, 8, 4], [0, 0, 4, 4]]
    assert pixel_boxes(boxes, height=4, width=8).tolist() == expected


def test_union_written_out():
    boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 4], [5, 0, 6, 1]])
    others = np.array([[1, 1, 3, 3], [1, 1, 3, 4], [2, 3, 3, 9]])
    assert union_boxes(boxes, others).tolist() == [[0, 0, 3, 3], [1, 1, 3, 4], [2, 0, 6, 9]]
    assert np.array_equal(union_boxes(others, boxes), union_boxes(boxes, others))


def test_pairs_and_edges_written_out():
    """Frame 0 has two nodes, frame 1 none, frame 2 one, which is as large as the second of frame 0."""
    left, right = [0, 0, 0.25, 0.5], [0.5, 0.25, 1, 1]
    nodes = nodes_of([[left, right], [], [right]])
    plan = plan_video(frames_of([0, 8, 16], size_hw=(8, 16)), nodes, edges_of(nodes), window=16)
    assert edges_of(nodes)["source"].tolist() == [0, 0, 1, 1, 2]
    assert plan.pairs_P5.tolist() == [[0, 0, 0, 4, 4], [0, 0, 0, 16, 8], [0, 8, 2, 16, 8], [2, 8, 2, 16, 8]]
    assert plan.edge_pair_E.tolist() == [0, 1, 1, 2, 3]
    assert plan.cuts_C5.tolist() == [[0, 0, 0, 4, 4], [0, 0, 0, 16, 8], [0, 8, 2, 16, 8], [16, 8, 2, 16, 8]]
    assert plan.pair_cut_P.tolist() == [0, 1, 2, 3]
    assert plan.starts.tolist() == [0, 16]
    rows = plan.rows()
    assert rows["box"].tolist() == [left, [0, 0, 1, 1], right, right]
    assert rows["pair_frame"].tolist() == [0, 0, 0, 2]
    assert rows["edge_pair"].tolist() == [0, 1, 1, 2, 3]


@pytest.mark.parametrize(
    ("numbers", "num_pairs", "num_cuts"),
    [([0], 36, 36), ([0, 8], 72, 36), ([0, 8, 16], 108, 72), ([0, 16, 39], 108, 108)],
)
def test_counts_of_a_grid(numbers, num_pairs, num_cuts):
    """9 cells: 81 edges, 45 pairs of cells (9 of them twice one), but only 6 x 6 different rectangles of cells."""
    cells = frame_boxes(96, 96, cells=3, overlap=0.5)
    nodes = nodes_of([(cells / 96).tolist()] * len(numbers))
    plan = plan_video(frames_of(numbers), nodes, edges_of(nodes), window=16)
    assert len(plan.edge_pair_E) == 81 * len(numbers)
    assert len(plan.pairs_P5) == num_pairs
    assert len(plan.cuts_C5) == num_cuts
    edges = edges_of(nodes)
    for source, target, pair in zip(edges["source"], edges["target"], plan.edge_pair_E, strict=True):
        one, other = cells[source % 9], cells[target % 9]
        assert plan.pairs_P5[pair].tolist() == [source // 9, *np.minimum(one, other)[:2], *np.maximum(one, other)[2:]]
    assert np.array_equal(plan.cuts_C5[plan.pair_cut_P, 1:], plan.pairs_P5[:, 1:])


def test_a_video_without_nodes_needs_nothing():
    nodes = nodes_of([[], []])
    plan = plan_video(frames_of([0, 8]), nodes, edges_of(nodes), window=16)
    assert (len(plan.pairs_P5), len(plan.cuts_C5), len(plan.edge_pair_E), len(plan.starts)) == (0, 0, 0, 0)
    assert plan.rows()["box"].shape == (0, 4)


def test_inputs_that_do_not_belong_together():
    nodes = nodes_of([[MIDDLE], [MIDDLE]])
    with pytest.raises(VideoError, match="nodes have 2 frames, 3 were sampled"):
        plan_video(frames_of([0, 8, 16]), nodes, edges_of(nodes), window=16)
    for edges in (
        {"source": np.array([0]), "target": np.array([2])},
        {"source": np.array([0]), "target": np.array([1])},
    ):
        with pytest.raises(VideoError, match="spatial_graphs do not fit the 2 nodes"):
            plan_video(frames_of([0, 8]), nodes, edges, window=16)


def test_cuts_are_of_the_right_window_and_pixels():
    generator = np.random.default_rng(0)
    frames = generator.integers(0, 256, (5, 8, 16, 3), dtype=np.uint8)
    decoded = WindowFrames(frames, np.array([[0, 1, 2], [2, 3, 4]]), None)
    cuts_C5 = np.array([[0, 1, 2, 5, 6], [7, 0, 0, 16, 8], [7, 12, 4, 16, 8]], np.int32)
    empty = np.zeros((0, 5), np.int32)
    cuts = Cuts(decoded, Plan(10, 3, (8, 16), cuts_C5, empty, empty, empty), size=4)
    found = list(cuts)
    assert len(cuts) == len(found) == 3
    assert np.array_equal(found[0], frames[:3, 2:6, 1:5])
    assert np.array_equal(found[2], frames[2:, 4:8, 12:16])
    # The whole frame, warped: each of the 4 x 4 pixels is a weighted mean around 2 rows and 4 columns.
    assert found[1].shape == (3, 4, 4, 3)
    flat = np.full((3, 8, 16, 3), 77, np.uint8)
    flat[:, :, 8:] = 177
    halves = warp(flat, 4)
    assert (halves[:, :, 0] == 77).all()
    assert (halves[:, :, 3] == 177).all()


def test_whole_frames_are_decoded_and_scaled_once_each(tmp_path, make_video, monkeypatch):
    asked = []

    def counting(video, numbers, **how):
        asked.extend(int(number) for number in numbers)
        return read_frames(video, numbers, **how)

    monkeypatch.setattr(windows, "read_frames", counting)
    make_video(tmp_path / "v.mp4", 40, size_hw=(48, 80))
    found = read_window_frames(WindowRequest(tmp_path / "v.mp4", 40, (16, 24), 16, (48, 80)))
    assert asked == list(range(16, 40))
    assert np.array_equal(found.frames, read_frames(open_video(tmp_path / "v.mp4"), range(16, 40)))
    assert found.rows_WT.tolist() == [list(range(16)), list(range(8, 24))]
    small = read_window_frames(WindowRequest(tmp_path / "v.mp4", 40, (16, 24), 16, (32, 40))).frames
    x_TCHW = torch.from_numpy(found.frames).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(x_TCHW, (32, 40), mode="bilinear", antialias=True)
    assert np.abs(small.astype(int) - expected.permute(0, 2, 3, 1).numpy()).max() <= 1  # the two round differently


LENGTHS = {"bare": 20, "long": 40, "short": 5, "text": 0, "wide": 30}
BOXES = {  # of every sampled frame
    "bare": [],
    "long": [MIDDLE, [0, 0, 0.5, 1]],
    "short": [MIDDLE],
    "wide": [[0, 0, 0.25, 0.5], [0.5, 0.5, 0.75, 1], [0, 0, 0.75, 1]],
}


@pytest.fixture(scope="module")
def shard(tmp_path_factory, make_video):
    """Videos with their table, sampled frames, object nodes, graphs and weights; "long" has no node in its frame 1."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("shard")
    (folder / "files").mkdir()
    for name, num_frames in LENGTHS.items():
        if num_frames:
            size_hw = (48, 80) if name == "wide" else (48, 48)
            make_video(folder / "files" / f"{name}.mp4", num_frames, size_hw=size_hw, rate=10)
    (folder / "files" / "text.mp4").write_text("no video")
    files = sorted((folder / "files").iterdir())
    videos = [{"id": path.stem, "path": path.name, "size": path.stat().st_size} for path in files]
    write_json(folder / "videos.json", {"root": str(folder / "files"), "videos": videos})
    decode_frames.run(folder / "videos.json", folder / "frames.zarr", SAMPLING, threads=1)
    write_nodes(folder)
    build_spatial_graphs.run(folder / "nodes.zarr", folder / "spatial.zarr")
    model = InceptionI3d()
    randomise(model, seed=1)
    generator = np.random.default_rng(0)
    noise = [generator.integers(0, 20 * (n % 12 + 1), (16, SIZE, SIZE, 3), dtype=np.uint8) for n in range(16)]
    calibrate(model, normalise(torch.from_numpy(np.stack(noise))), batch_size=16)
    save_weights(model.state_dict(), folder / "weights.safetensors", {})
    return folder


def write_nodes(folder):
    frames = read(folder / "frames.zarr", FRAMES)
    ids = [*frames.ids, *frames.failed]
    with create(folder / "nodes.zarr", NODES, ids=ids, stage="build_object_nodes", settings={}, inputs={}) as writer:
        for video_id in frames.ids:
            times = frames.video(video_id, ["time"])["time"]
            boxes = [[] if video_id == "long" and frame == 1 else BOXES[video_id] for frame in range(len(times))]
            rows = nodes_of(boxes)
            num_nodes = len(rows["box"])
            further = {"label": np.ones(num_nodes, int), "score": np.ones(num_nodes), "frame_time": times}
            x = 1 + np.arange(num_nodes * 2.0).reshape(num_nodes, 2)
            writer.append(video_id, **(rows | further), x=x)
        for video_id, reason in frames.failed.items():
            writer.fail(video_id, reason)


def flags_of(shard, **changes):
    flags = {
        "videos": shard / "videos.json",
        "frames": shard / "frames.zarr" / "zarr.json",
        "weights": shard / "weights.safetensors",
        "settings": SETTINGS,
        "window": 16,
        "time_limit": 60.0,
        "threads": 1,
        "decoders": 1,
    }
    return flags | changes


def extract(shard, out, **changes):
    further = {"nodes": shard / "nodes.zarr", "spatial": shard / "spatial.zarr"} | changes
    extract_union_motion.run(out=out, **flags_of(shard, **further))
    return read(out, PAIR_MOTION)


@pytest.fixture(scope="module")
def pairs(shard, tmp_path_factory):
    return extract(shard, tmp_path_factory.mktemp("pairs") / "p.zarr")


@pytest.fixture(scope="module")
def motion(shard, tmp_path_factory):
    out = tmp_path_factory.mktemp("motion") / "m.zarr"
    extract_i3d.run(out=out, **flags_of(shard))
    return read(out, MOTION)


def test_the_middle_square_has_the_feature_of_extract_i3d(pairs, motion):
    for video_id in ("long", "short"):
        rows, whole = pairs.video(video_id), motion.video(video_id)["motion"].astype(np.float32)
        of_middle = np.flatnonzero((rows["box"] == np.array(MIDDLE, np.float16)).all(axis=1))
        frames = rows["pair_frame"][of_middle].tolist()
        assert frames == [frame for frame in range(len(whole)) if video_id == "short" or frame != 1]
        assert np.allclose(rows["motion"][of_middle].astype(np.float32), whole[frames], rtol=2e-3, atol=2e-3)
        assert whole.std() > 0.05


def test_edges_carry_the_feature_of_their_box(shard, pairs):
    """A frame of "wide" has three nodes, the third of them the union of the others: three boxes, not six."""
    rows = pairs.video("wide")
    height, width = 48, 80
    num_frames = int(read(shard / "frames.zarr", FRAMES).video("wide", ["number"])["number"].shape[0])
    assert len(rows["motion"]) == 3 * num_frames
    first, whole, second = 0, 1, 2  # of a frame, in ascending order
    assert rows["edge_pair"][:9].tolist() == [first, whole, whole, whole, second, whole, whole, whole, whole]
    assert rows["edge_pair"][9:18].tolist() == [3 + pair for pair in rows["edge_pair"][:9]]
    assert rows["pair_frame"].tolist() == np.repeat(np.arange(num_frames), 3).tolist()
    found = read_window_frames(WindowRequest(shard / "files" / "wide.mp4", 30, (0, 14), 16, (height, width)))
    cuts = []
    for left, top, right, bottom in [(0, 0, 20, 24), (0, 0, 60, 48), (40, 24, 60, 48)]:
        frames = torch.from_numpy(found.frames[found.rows_WT[1]][:, top:bottom, left:right]).permute(0, 3, 1, 2)
        scaled = torch.nn.functional.interpolate(frames.float(), (SIZE, SIZE), mode="bilinear", antialias=True)
        cuts.append(scaled.round().to(torch.uint8).permute(0, 2, 3, 1).numpy())
    expected = make_encoder(load_i3d(shard / "weights.safetensors"), "fp32")(np.stack(cuts))
    assert np.allclose(rows["motion"][-3:], expected, rtol=2e-2, atol=2e-2)
    assert np.abs(expected[0] - expected[2]).max() > 0.2


def test_videos_and_frames_without_nodes(shard, pairs, motion):
    assert pairs.ids == motion.ids == ["bare", "long", "short", "wide"]
    assert pairs.failed == motion.failed
    assert pairs.failed["text"].startswith("not a video file")
    assert pairs.video("bare")["motion"].shape == (0, 1024)
    assert pairs.video("bare")["edge_pair"].shape == (0,)
    assert 1 not in pairs.video("long")["pair_frame"]


def test_each_cut_is_computed_once_in_full_batches(shard, tmp_path, monkeypatch):
    batches = []
    monkeypatch.setattr(extract_union_motion, "make_encoder", counting(batches))
    monkeypatch.setattr(extract_union_motion, "BATCH_SIZE", 4)
    extract(shard, tmp_path / "p.zarr")
    # "long": 3 boxes (two nodes and both) of 3 windows; "short": 1; "wide": 3 boxes of 2 windows; 16 in all
    assert [len(batch) for batch in batches] == [4] * 4


def test_graphs_take_the_motion_of_pairs(shard, pairs, motion, tmp_path):
    nodes, spatial, temporal = shard / "nodes.zarr", shard / "spatial.zarr", tmp_path / "temporal.zarr"
    build_temporal_graphs.run(nodes=nodes, out=temporal, settings=SimilaritySettings(top_k=None))
    convert_graphs.run(nodes=nodes, motion=motion.store, spatial=spatial, temporal=temporal, out=tmp_path / "g.zarr")
    graphs = load_graphs([tmp_path / "g.zarr"], pair_motion=[pairs.store])
    assert graphs.ids == pairs.ids
    rows, graph = pairs.video("wide"), graphs["wide"]
    within = graph.edge_kind == 0
    expected = rows["motion"][rows["edge_pair"]].astype(np.float32)
    assert np.array_equal(graph.expand()[within].numpy(), expected)
    boxes = graph.node_box[graph.edge_index][:, within].numpy()
    around = np.concatenate([boxes[..., :2].min(axis=0), boxes[..., 2:].max(axis=0)], axis=1)
    assert np.array_equal(rows["box"][rows["edge_pair"]].astype(np.float32), around)


@pytest.mark.slow
def test_runs_are_identical_and_batches_do_not_matter(shard, pairs, tmp_path, monkeypatch):
    assert extract(shard, tmp_path / "again.zarr", decoders=2).digest == pairs.digest
    monkeypatch.setattr(extract_union_motion, "BATCH_SIZE", 1)
    alone = extract(shard, tmp_path / "alone.zarr").array("motion").astype(np.float32)
    assert np.allclose(alone, pairs.array("motion").astype(np.float32), rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_an_interrupted_run_continues_to_the_same_artifact(shard, tmp_path, monkeypatch):
    monkeypatch.setattr(extract_union_motion, "BATCH_SIZE", 2)
    whole = extract(shard, tmp_path / "whole.zarr")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(extract_union_motion, "make_encoder", interrupted_after(5))
        extract(shard, tmp_path / "p.zarr")
    journal = (tmp_path / ".p.zarr.partial" / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in journal] == ["bare", "long", "short", "text"]
    assert extract(shard, tmp_path / "p.zarr").digest == whole.digest


def test_a_video_lost_since_it_was_sampled_is_recorded(shard, pairs, tmp_path):
    table = json.loads((shard / "videos.json").read_text())
    (tmp_path / "files").mkdir()
    for name in ("bare", "long", "wide"):
        (tmp_path / "files" / f"{name}.mp4").write_bytes((shard / "files" / f"{name}.mp4").read_bytes())
    write_json(tmp_path / "videos.json", table | {"root": str(tmp_path / "files")})
    found = extract(shard, tmp_path / "p.zarr", videos=tmp_path / "videos.json")
    assert found.failed == pairs.failed | {"short": "there is no such file"}
    assert found.ids == ["bare", "long", "wide"]
    assert np.array_equal(found.video("wide")["edge_pair"], pairs.video("wide")["edge_pair"])


def test_nodes_of_another_shard_are_refused(shard, tmp_path):
    with create(tmp_path / "n.zarr", NODES, ids=["o"], stage="build_grid_nodes", settings={}, inputs={}) as writer:
        writer.fail("o", "bad")
    with pytest.raises(PipelineError, match=r"n\.zarr is not of the videos in .*videos\.json: run build_grid_nodes or"):
        extract(shard, tmp_path / "p.zarr", nodes=tmp_path / "n.zarr")

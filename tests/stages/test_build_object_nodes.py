import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toys.clip import ARCH, encoder, write_frames

from pipeline.artifact import create, each_video, read
from pipeline.config import DetectorSettings, ObjectNodesSettings, SimilaritySettings
from pipeline.errors import PipelineError
from pipeline.models.clip4clip import load_pretrained, normalise, save_clip4clip, square_of_shorter_side
from pipeline.models.detection import Objects, find_objects
from pipeline.models.detector import SMALL, detector_metadata, random_detector, save_detector
from pipeline.schemas import GRAPHS, MOTION, NODES
from pipeline.stages import build_object_nodes, build_spatial_graphs, build_temporal_graphs, convert_graphs
from pipeline.stages.build_object_nodes import nodes_of, region_of, run, shift, square_bounds

DETECTOR = DetectorSettings(
    kind="detector", weights="random", seed=1, arch=SMALL, size=32, finetune=None, precision="fp32"
)
CLIP = encoder()
SIZES = {"a-b": (2, 32, 48), "one": (1, 40, 32), "long": (5, 32, 48), "last": (1, 32, 48)}  # frames, height, width


def nodes_settings(feature: str = "backbone", region: str = "frame", score: float = 0.1) -> ObjectNodesSettings:
    """Of an untrained detector of four classes, which gives each about 0.25."""
    return ObjectNodesSettings.model_validate(
        {
            "kind": "object",
            "sampling": "action",
            "detector": "objects",
            "region": region,
            "max_objects": 3,
            "score": score,
            "feature": feature,
            "encoder": "clip" if feature == "clip" else None,
        }
    )


@pytest.fixture
def videos(tmp_path: Path) -> dict[str, np.ndarray]:
    """Random frames, written as `frames.zarr`; one video has none."""
    return write_frames(tmp_path / "frames.zarr", SIZES, {"bad": "no video frame in it"})


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "detector.safetensors"
    model = random_detector(SMALL, 4, 32, seed=1)
    save_detector(model, path, detector_metadata(model, SMALL, 32, list("abcd"), "random"))
    return path


def build(folder: Path, weights: Path, settings: ObjectNodesSettings, name: str = "nodes.zarr") -> Path:
    encoder = CLIP if settings.feature == "clip" else None
    if encoder is not None:
        save_clip4clip(load_pretrained("random", ARCH, 1)[0], folder / "clip.safetensors", "random")
    run(
        frames=folder / "frames.zarr" / "zarr.json",
        weights=weights,
        encoder_weights=[folder / "clip.safetensors"] if encoder else [],
        out=folder / name / "zarr.json",
        settings=settings,
        detector=DETECTOR,
        encoder=encoder,
        threads=1,
    )
    return folder / name


def expected_objects(frame_HWC: np.ndarray) -> Objects:
    images = torch.from_numpy(frame_HWC.copy()).permute(2, 0, 1)[None]
    return find_objects(random_detector(SMALL, 4, 32, seed=1), images, 3, 0.1, torch.float32)[0]


def test_every_frame_has_its_own_objects(tmp_path: Path, weights: Path, videos: dict[str, np.ndarray]):
    nodes = read(build(tmp_path, weights, nodes_settings()), NODES)
    assert nodes.ids == list(SIZES)
    assert nodes.failed == {"bad": "no video frame in it"}
    for video_id, frames in videos.items():
        found = nodes.video(video_id)
        assert found["frame_time"].tolist() == [frame / 4 for frame in range(len(frames))]
        assert (np.diff(found["node_frame"]) >= 0).all()
        num_frames, height, width = SIZES[video_id]
        for frame in {0, num_frames - 1}:
            own = expected_objects(frames[frame])
            here = found["node_frame"] == frame
            assert here.sum() == len(own.box_N4) == 3
            np.testing.assert_allclose(found["box"][here] * [width, height, width, height], own.box_N4, atol=0.05)
            np.testing.assert_array_equal(found["label"][here], own.label_N)
            np.testing.assert_allclose(found["score"][here], own.score_N, atol=1e-3)
            np.testing.assert_allclose(found["x"][here].astype(np.float32), own.x_ND, atol=5e-3, rtol=5e-3)
    assert nodes.array("x").shape[1] == 64


def test_of_the_square_no_box_leaves_it(tmp_path: Path, weights: Path, videos: dict[str, np.ndarray]):
    nodes = read(build(tmp_path, weights, nodes_settings(region="square")), NODES)
    found = nodes.video("a-b")
    own = expected_objects(videos["a-b"][0][:, 8:40])
    here = found["node_frame"] == 0
    expected = (own.box_N4 + torch.tensor([8, 0, 8, 0])) / torch.tensor([48, 32, 48, 32])
    np.testing.assert_allclose(found["box"][here], expected, atol=1e-3)
    assert (found["box"][:, 0] >= np.float16(8 / 48)).all()
    assert (found["box"][:, 2] <= np.float16(40 / 48)).all()
    upright = nodes.video("one")["box"]
    assert (upright[:, 1] >= np.float16(4 / 40)).all()


def test_clip_embeds_the_square_around_each_object(tmp_path: Path, weights: Path, videos: dict[str, np.ndarray]):
    found = read(build(tmp_path, weights, nodes_settings("clip")), NODES).video("long")
    tower = load_pretrained("random", ARCH, 1)[0]
    assert found["x"].shape == (15, 8)
    for frame in (0, 4):
        own = expected_objects(videos["long"][frame])
        for row, (x0, y0, x1, y1) in zip(
            np.flatnonzero(found["node_frame"] == frame), square_bounds(own.box_N4.numpy(), 32, 48), strict=True
        ):
            crop = torch.from_numpy(videos["long"][frame, y0:y1, x0:x1].copy()).permute(2, 0, 1)[None]
            with torch.no_grad():
                expected = tower.encode_image(normalise(square_of_shorter_side(crop, 16)))[0]
            np.testing.assert_allclose(found["x"][row].astype(np.float32), expected, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("feature", ["backbone", "clip"])
def test_frames_without_objects_make_a_valid_graph(
    tmp_path: Path, weights: Path, videos: dict[str, np.ndarray], feature: str
):
    nodes = build(tmp_path, weights, nodes_settings(feature, score=1.0))
    assert read(nodes, NODES).array("x").shape == (0, 64 if feature == "backbone" else 8)
    motion = tmp_path / "motion.zarr"
    with create(motion, MOTION, ids=list(videos), stage="extract_i3d", settings={}, inputs={}) as writer:
        for video_id, frames in videos.items():
            writer.append(video_id, motion=np.ones((len(frames), 5)), window_start=np.zeros(len(frames), int))
    spatial, temporal, graphs = (tmp_path / f"{name}.zarr" for name in ("spatial", "temporal", "graphs"))
    build_spatial_graphs.run(nodes, spatial)
    build_temporal_graphs.run(nodes, temporal, SimilaritySettings(top_k=2))
    convert_graphs.run(nodes, motion, spatial, temporal, graphs)
    made = read(graphs, GRAPHS)
    assert made.ids == list(videos)
    graph = made.video("long")
    assert graph["motion"].shape == (5, 5)
    assert len(graph["source"]) == len(graph["x"]) == 0


def test_a_run_that_was_interrupted_goes_on_to_the_same_artifact(
    tmp_path: Path, weights: Path, videos: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(build_object_nodes, "VIDEOS_AT_ONCE", 3)
    whole = read(build(tmp_path, weights, nodes_settings(), "whole.zarr"), NODES)
    fits = each_video.fits_half
    for stop in (1, 2, 3):  # within a group, at its end, and within the next
        calls = itertools.count()

        def interrupted(x_ND: np.ndarray, calls: itertools.count = calls, stop: int = stop) -> bool:
            if next(calls) == stop:
                raise KeyboardInterrupt
            return fits(x_ND)

        monkeypatch.setattr(each_video, "fits_half", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path, weights, nodes_settings(), f"{stop}.zarr")
        monkeypatch.setattr(each_video, "fits_half", fits)
        assert read(build(tmp_path, weights, nodes_settings(), f"{stop}.zarr"), NODES).digest == whole.digest


def test_a_video_without_finite_features_is_recorded(
    tmp_path: Path, weights: Path, videos: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
):
    find = build_object_nodes.find_in_videos

    def overflow(*arguments: object) -> list[list[Objects]]:
        found = find(*arguments)
        found[1][0] = replace(found[1][0], x_ND=torch.full_like(found[1][0].x_ND, np.inf))
        return found

    monkeypatch.setattr(build_object_nodes, "find_in_videos", overflow)
    made = read(build(tmp_path, weights, nodes_settings()), NODES)
    assert made.ids == ["a-b", "long", "last"]
    assert "not finite" in made.failed["one"]


def test_weights_of_another_architecture_are_refused(tmp_path: Path, weights: Path, videos: dict[str, np.ndarray]):
    with pytest.raises(PipelineError, match=f"holds the architecture {SMALL}, expected fcos_resnet50_fpn"):
        run(
            frames=tmp_path / "frames.zarr",
            weights=weights,
            encoder_weights=[],
            out=tmp_path / "nodes.zarr",
            settings=nodes_settings(),
            detector=DETECTOR.model_copy(update={"arch": "fcos_resnet50_fpn"}),
            encoder=None,
            threads=1,
        )
    assert not (tmp_path / "nodes.zarr").exists()


def test_an_encoder_goes_with_its_feature(tmp_path: Path, weights: Path, videos: dict[str, np.ndarray]):
    for settings, wrong in ((nodes_settings("clip"), None), (nodes_settings("backbone"), CLIP)):
        with pytest.raises(PipelineError, match="needs one encoder"):
            run(
                frames=tmp_path / "frames.zarr",
                weights=weights,
                encoder_weights=[],
                out=tmp_path / "nodes.zarr",
                settings=settings,
                detector=DETECTOR,
                encoder=wrong,
                threads=1,
            )


def test_the_region_is_the_frame_or_its_central_square():
    assert region_of(32, 48, "frame") == (0, 0, 48, 32)
    assert region_of(32, 48, "square") == (8, 0, 40, 32)
    assert region_of(41, 32, "square") == (0, 4, 32, 36)


def test_squares_lie_around_their_boxes_and_in_the_frame():
    boxes = np.array(
        [[10.5, 4.2, 19.5, 8.0], [0.0, 0.0, 2.0, 9.0], [44, 30, 48, 32], [1.0, 2.0, 47.0, 3.0], [5, 5, 5.2, 5.1]]
    )
    assert square_bounds(boxes, 32, 48).tolist() == [
        [10, 1, 20, 11],
        [0, 0, 9, 9],
        [44, 28, 48, 32],
        [1, 0, 47, 32],  # longer than the frame is high
        [5, 5, 6, 6],
    ]
    assert square_bounds(np.zeros((0, 4)), 32, 48).shape == (0, 4)


def test_nodes_written_out():
    """A box that touches the border stays in [0, 1], and a frame without objects has no nodes."""
    box = Objects(torch.tensor([[2.0, 4.0, 12.0, 8.0]]), torch.tensor([3]), torch.tensor([0.75]), torch.zeros(1, 2))
    none = Objects(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0), torch.zeros(0, 2))
    rows = nodes_of(shift([box, none, box], left=8, top=0), height=8, width=20)
    assert rows["node_frame"].tolist() == [0, 2]
    assert rows["label"].tolist() == [3, 3]
    assert rows["score"].tolist() == [0.75, 0.75]
    np.testing.assert_allclose(rows["box"], [[0.5, 0.5, 1, 1]] * 2)

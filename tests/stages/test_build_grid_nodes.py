from pathlib import Path

import numpy as np
import pytest
import torch
from toys.clip import ARCH, encoder, overflow_from, write_frames, write_weights

from pipeline.artifact import read
from pipeline.config import GridNodesSettings
from pipeline.errors import PipelineError
from pipeline.models import crop_embedding
from pipeline.models.clip4clip import load_pretrained, normalise, square_of_shorter_side
from pipeline.schemas import NODES
from pipeline.stages.build_grid_nodes import cut_cells, frame_boxes, grid_boxes, run

SETTINGS = GridNodesSettings(kind="grid", sampling="action", encoder="clip", cells=3, overlap=0.5)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_weights(tmp_path)


def columns(boxes: np.ndarray) -> list[list[int]]:
    return sorted({tuple(box) for box in boxes[:, [0, 2]].tolist()})


@pytest.mark.parametrize(
    ("side", "cells", "overlap", "expected"),
    [
        (240, 3, 0.5, [(0, 120), (40, 200), (120, 240)]),
        (240, 2, 0.0, [(0, 120), (120, 240)]),
        (240, 1, 0.5, [(0, 240)]),
        (240, 4, 0.5, [(0, 90), (30, 150), (90, 210), (150, 240)]),
        (100, 3, 0.5, [(0, 49), (17, 82), (50, 100)]),
        (5, 3, 0.5, [(0, 1), (1, 2), (2, 5)]),
        (2, 3, 0.5, [(0, 1), (0, 2)]),
        (1, 3, 0.5, [(0, 1)]),
    ],
)
def test_bounds(side: int, cells: int, overlap: float, expected: list[tuple[int, int]]) -> None:
    boxes = grid_boxes(side, cells, overlap)
    assert boxes.shape == (cells * cells, 4)
    assert columns(boxes) == expected
    assert columns(boxes[:, [1, 0, 3, 2]]) == expected
    assert (boxes[:, :2] < boxes[:, 2:]).all()


def test_cells_are_row_major() -> None:
    assert grid_boxes(4, 2, 0.0).tolist() == [[0, 0, 2, 2], [2, 0, 4, 2], [0, 2, 2, 4], [2, 2, 4, 4]]


def test_cells_lie_in_the_central_square() -> None:
    assert frame_boxes(240, 320, 3, 0.5)[[0, 4, 8]].tolist() == [
        [40, 0, 160, 120],
        [80, 40, 240, 200],
        [160, 120, 280, 240],
    ]
    assert frame_boxes(10, 4, 1, 0.0).tolist() == [[0, 3, 4, 7]]


def test_a_cell_shows_its_own_pixels() -> None:
    frames = torch.zeros(2, 6, 10, 3, dtype=torch.uint8)
    frames[1, 3:, 5:8, 1] = 200  # the bottom right quarter of the second frame's central square
    cells = cut_cells(frames, frame_boxes(6, 10, 2, 0.0), 3)
    assert cells.shape == (2, 4, 3, 3, 3)
    assert (cells[1, 3, 1] == 200).all()
    cells[1, 3, 1] = 0
    assert cells.sum() == 0


def test_run_embeds_every_cell_of_every_frame(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crop_embedding, "IMAGES_AT_ONCE", 40)  # several videos together, and one video in parts
    sizes = {"a-b": (2, 24, 32), "one": (1, 5, 5), "long": (6, 30, 20), "last": (1, 48, 48)}
    videos = write_frames(tmp_path / "frames.zarr", sizes, {"bad": "no video frame in it"})
    run(
        frames=tmp_path / "frames.zarr" / "zarr.json",
        weights=weights,
        out=tmp_path / "nodes.zarr" / "zarr.json",
        settings=SETTINGS,
        encoder=encoder(),
        threads=1,
    )
    nodes = read(tmp_path / "nodes.zarr", NODES)
    assert nodes.ids == list(sizes)
    assert nodes.failed == {"bad": "no video frame in it"}
    module = load_pretrained("random", ARCH, 1)[0]
    for video_id, frames in videos.items():
        found = nodes.video(video_id)
        num_frames, height, width = sizes[video_id]
        assert found["node_frame"].tolist() == [frame for frame in range(num_frames) for _ in range(9)]
        assert found["frame_time"].tolist() == [frame / 4 for frame in range(num_frames)]
        expected = frame_boxes(height, width, 3, 0.5) / [width, height, width, height]
        assert (found["label"] == 0).all()
        assert (found["score"] == 1).all()
        np.testing.assert_allclose(found["box"], np.tile(expected, (num_frames, 1)), atol=1e-3)
        for node in (0, 4, num_frames * 9 - 1):
            x0, y0, x1, y1 = frame_boxes(height, width, 3, 0.5)[node % 9]
            cell = torch.from_numpy(frames[node // 9, y0:y1, x0:x1].copy()).permute(2, 0, 1)[None]
            with torch.no_grad():
                own = module.encode_image(normalise(square_of_shorter_side(cell, 16)))[0]
            np.testing.assert_allclose(found["x"][node].astype(np.float32), own.numpy(), atol=2e-3, rtol=2e-3)


def test_a_video_without_finite_features_is_recorded(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_frames(tmp_path / "frames.zarr", {"good": (1, 16, 16), "huge": (1, 17, 16)}, {})
    overflow_from(monkeypatch, 9)
    out = tmp_path / "nodes.zarr"
    run(frames=tmp_path / "frames.zarr", weights=weights, out=out, settings=SETTINGS, encoder=encoder(), threads=1)
    assert read(out, NODES).ids == ["good"]
    assert "not finite" in read(out, NODES).failed["huge"]


def test_weights_of_another_architecture_are_refused(tmp_path: Path, weights: Path) -> None:
    write_frames(tmp_path / "frames.zarr", {"good": (1, 16, 16)}, {})
    other = ARCH | {"vision": ARCH["vision"] | {"patch_size": 16}}
    with pytest.raises(PipelineError, match="holds another architecture"):
        run(
            frames=tmp_path / "frames.zarr",
            weights=weights,
            out=tmp_path / "nodes.zarr",
            settings=SETTINGS,
            encoder=encoder(other),
            threads=1,
        )
    assert not (tmp_path / "nodes.zarr").exists()

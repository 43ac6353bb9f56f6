import pytest
from toys.report import FRAME_ROWS, MOTION_ROWS, make_store

from pipeline.errors import PipelineError
from pipeline.report.stores import list_failures, list_suspects, read_store, summarise
from pipeline.schemas import FRAMES, MOTION


def test_stores_and_failures(tmp_path):
    dataset = tmp_path / "datasets/d"
    make_store(dataset / "frames/s/000.zarr", FRAMES, ["a", "b"], {"b": "empty"}, FRAME_ROWS)
    make_store(dataset / "frames/s/001.zarr", FRAMES, ["c"], {}, FRAME_ROWS)
    make_store(dataset / "motion/s/i3d/000.zarr", MOTION, ["a", "b"], {"a": "no window", "b": "empty"}, MOTION_ROWS)
    paths = ("motion/s/i3d/000.zarr", "frames/s/000.zarr/zarr.json", "frames/s/001.zarr")
    stores = [read_store(dataset / path) for path in paths]
    rows = {row["name"]: row for row in summarise(stores)}
    assert (rows["frames/s"]["num_shards"], rows["frames/s"]["num_videos"], rows["frames/s"]["num_failed"]) == (2, 2, 1)
    assert rows["frames/s"]["bytes_per_video"] > 100
    assert list_failures(stores) == [
        {"dataset": "d", "id": "a", "stage": "extract_i3d", "reason": "no window"},
        {"dataset": "d", "id": "b", "stage": "decode_frames", "reason": "empty"},
    ]


def test_suspects_are_listed_once(tmp_path):
    dataset = tmp_path / "datasets/d"
    make_store(dataset / "frames/s/000.zarr", FRAMES, ["a", "b"], {}, FRAME_ROWS, suspect={"b": "1 is damaged"})
    make_store(dataset / "motion/s/i3d/000.zarr", MOTION, ["a", "b"], {}, MOTION_ROWS, suspect={"a": "x", "b": "y"})
    stores = [read_store(dataset / path) for path in ("motion/s/i3d/000.zarr", "frames/s/000.zarr")]
    assert list_suspects(stores) == [
        {"dataset": "d", "id": "a", "stage": "extract_i3d", "reason": "x"},
        {"dataset": "d", "id": "b", "stage": "decode_frames", "reason": "1 is damaged"},
    ]


def test_a_store_elsewhere_is_refused(tmp_path):
    with pytest.raises(PipelineError, match="expected a path datasets/"):
        read_store(tmp_path / "frames/s/000.zarr")

import pytest
from toys.report import FRAME_ROWS, MOTION_ROWS, make_store

from pipeline.errors import PipelineError
from pipeline.report.artifacts import sort_by_kind
from pipeline.report.stores import list_failures, list_suspects, read_stores, summarise
from pipeline.schemas import FRAMES, MOTION


def test_stores_and_failures(tmp_path):
    dataset = tmp_path / "results/datasets/d"
    make_store(dataset / "frames/s/000.zarr", FRAMES, ["a", "b"], {"b": "empty"}, FRAME_ROWS)
    make_store(dataset / "frames/s/001.zarr", FRAMES, ["c"], {}, FRAME_ROWS)
    make_store(dataset / "motion/s/i3d/000.zarr", MOTION, ["a", "b"], {"a": "no window", "b": "empty"}, MOTION_ROWS)
    paths = ("motion/s/i3d/000.zarr", "frames/s/000.zarr", "frames/s/001.zarr")
    stores = read_stores(sort_by_kind(dataset / path / "zarr.json" for path in paths))
    rows = {row["name"]: row for row in summarise(stores)}
    assert (rows["frames/s"]["num_shards"], rows["frames/s"]["num_videos"], rows["frames/s"]["num_failed"]) == (2, 2, 1)
    assert rows["frames/s"]["bytes_per_video"] > 100
    assert list_failures(stores) == [
        {"dataset": "d", "id": "a", "stage": "extract_i3d", "reason": "no window"},
        {"dataset": "d", "id": "b", "stage": "decode_frames", "reason": "empty"},
    ]


def test_suspects_are_listed_once(tmp_path):
    dataset = tmp_path / "results/datasets/d"
    make_store(dataset / "frames/s/000.zarr", FRAMES, ["a", "b"], {}, FRAME_ROWS, suspect={"b": "1 is damaged"})
    make_store(dataset / "motion/s/i3d/000.zarr", MOTION, ["a", "b"], {}, MOTION_ROWS, suspect={"a": "x", "b": "y"})
    paths = ("motion/s/i3d/000.zarr", "frames/s/000.zarr")
    stores = read_stores(sort_by_kind(dataset / path / "zarr.json" for path in paths))
    assert list_suspects(stores) == [
        {"dataset": "d", "id": "a", "stage": "extract_i3d", "reason": "x"},
        {"dataset": "d", "id": "b", "stage": "decode_frames", "reason": "1 is damaged"},
    ]


def test_the_names_of_a_store_come_from_its_path(tmp_path):
    path = tmp_path / "results/datasets/results/motion/s/i3d/000.zarr"  # a data set that is called results
    make_store(path, MOTION, ["a"], {}, MOTION_ROWS)
    [store] = read_stores(sort_by_kind([path / "zarr.json"]))
    assert (store.dataset, store.name, store.stage) == ("results", "motion/s/i3d", "extract_i3d")


def test_a_path_of_no_artifact_is_refused(tmp_path):
    with pytest.raises(PipelineError, match=r"frames/s/000.zarr: no artifact has such a path: expected one such as"):
        sort_by_kind([tmp_path / "frames/s/000.zarr"])

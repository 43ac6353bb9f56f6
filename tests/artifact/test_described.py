"""What a store says of itself to those who read it without this project: sentences, units, and ids as labels."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from pipeline.artifact import create, read
from pipeline.artifact.checking import check_store
from pipeline.errors import DamagedError
from pipeline.schemas import FRAMES, SCHEMAS

IDS = ["q_1_4.5", "größe", "left out"]
ROWS = {
    "pixels": np.zeros((2 * 4 * 6, 3), np.uint8),
    "number": np.array([0, 2]),
    "time": np.array([0.0, 0.2]),
    "size": np.array([[4, 6]]),
    "num_frames": np.array([4]),
    "fps": np.array([10.0]),
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "000.zarr"
    with create(path, FRAMES, ids=IDS, stage="decode_frames", settings={}, inputs={}) as writer:
        for video_id in IDS[:2]:
            writer.append(video_id, **ROWS)
        writer.fail("left out", "no")
    return path


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=lambda schema: schema.name)
def test_every_array_has_a_sentence_and_a_unit(schema):
    for name, spec in schema.stored().items():
        assert spec.says[:1].isupper() or spec.says[:1].isdigit(), name
        assert spec.says.endswith("."), name
        assert spec.unit in {"1", "s", "s-1", "pixel"}, name


def test_they_are_the_attributes_of_the_arrays(store):
    arrays = dict(zarr.open_group(store, mode="r").arrays())
    assert arrays["fps"].attrs.asdict() == {"description": "Mean rate of the frames of the clip.", "units": "s-1"}
    assert arrays["time"].attrs["units"] == "s"  # xarray would make time spans of `seconds`
    assert "from frame_ptr[i] up to, without, frame_ptr[i + 1]" in arrays["frame_ptr"].attrs["description"]
    assert all("description" in array.attrs for array in arrays.values())


def test_the_ids_are_the_labels_of_the_dimension_video(store):
    labels = zarr.open_group(store, mode="r")["video"]
    assert list(labels[:]) == IDS[:2]
    assert labels.metadata.dimension_names == ("video",)
    xarray = pytest.importorskip("xarray")
    frames = xarray.open_zarr(store, consolidated=False)
    assert frames.sel(video="größe")["fps"].item() == 10.0


def test_they_change_no_digest(tmp_path):
    """The root's bytes are those of stores before arrays said what they are."""
    with create(tmp_path / "a.zarr", FRAMES, ids=IDS[:2], stage="decode_frames", settings={}, inputs={}) as writer:
        writer.append("q_1_4.5", "odd", **ROWS)
        writer.fail("größe", "no")
    root = (tmp_path / "a.zarr/zarr.json").read_bytes()
    assert json.loads(root)["attributes"]["digest"] == "sha256:b570c3cf5ce1b36b735bbf7efc28dea8"
    of_before = "9d394258e6cebc0b168bf856ce359e5c911437aae3613d01e60ed305a3d3c002"
    assert hashlib.sha256(root).hexdigest() == of_before


def test_a_store_of_before_has_no_labels_and_is_whole(store):
    labels = store / "video"
    for file in sorted(labels.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    labels.rmdir()
    check_store(store, FRAMES)
    assert read(store, FRAMES).ids == IDS[:2]


def test_a_store_without_videos(tmp_path):
    with create(tmp_path / "a.zarr", FRAMES, ids=["b"], stage="decode_frames", settings={}, inputs={}) as writer:
        writer.fail("b", "no")
    check_store(tmp_path / "a.zarr", FRAMES)
    assert zarr.open_group(tmp_path / "a.zarr", mode="r")["video"].shape == (0,)


def test_other_labels_than_the_root_s_are_damage(store):
    zarr.open_group(store)["video"][0] = "größe"
    with pytest.raises(DamagedError, match="`video` holds other ids"):
        check_store(store, FRAMES)


def test_labels_of_another_shape_are_damage(store):
    text = (store / "video/zarr.json").read_text()
    content = json.loads(text)
    content["shape"] = [10**12]
    (store / "video/zarr.json").write_text(json.dumps(content))
    with pytest.raises(DamagedError, match="`video` is not laid out"):
        check_store(store, FRAMES)

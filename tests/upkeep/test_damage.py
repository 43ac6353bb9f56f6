"""Damage: bytes, chunks, metadata and tables that are not what a stage wrote, and disks that fail."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from pipeline.artifact import write_json
from pipeline.schemas import FRAMES
from pipeline.upkeep import lineage

from .conftest import FRAMES_OF_HOME, NODES_OF_HOME, flip, found_in, only, write_store


@pytest.mark.parametrize("name", ["pixels/c/0/0", "time/c/0", "frame_ptr/c/0", "video/c/0"])
def test_a_flipped_byte_is_found_in_every_chunk(results, name):
    flip(results / FRAMES_OF_HOME / name, 5)
    state, place, reason, finding = only(results)
    assert (state, place) == ("damaged", FRAMES_OF_HOME)
    assert f"array `{name.partition('/')[0]}` is damaged" in reason
    assert finding.command() == f"snakemake --force results/{FRAMES_OF_HOME}/zarr.json"
    assert finding.remove


def test_a_picture_is_checked_by_its_checksums(results):
    path = results / "encoders/masked/reconstructions.png"
    path.parent.mkdir()
    Image.new("RGB", (8, 8), "#336699").save(path)
    assert found_in(results) == []
    whole = path.read_bytes()
    for damaged in (whole.replace(b"IDAT", b"IDAT\0"), whole[:40], b""):
        path.write_bytes(damaged)
        state, place, reason, _ = only(results)
        assert (state, place) == ("damaged", "encoders/masked/reconstructions.png")
        assert "cannot" in reason


def test_a_truncated_chunk(results):
    chunk = results / NODES_OF_HOME / "x/c/0/0"
    chunk.write_bytes(chunk.read_bytes()[:7])
    state, place, reason, _ = only(results)
    assert (state, place) == ("damaged", NODES_OF_HOME)
    assert "array `x` is damaged" in reason


def test_a_missing_chunk(results):
    (results / NODES_OF_HOME / "box/c/0/0").unlink()
    state, place, reason, _ = only(results)
    assert (state, place) == ("damaged", NODES_OF_HOME)
    assert reason == "file box/c/0/0 is missing"


def test_bytes_that_have_right_checksums_and_are_others(results, tmp_path):
    """A chunk of another store: only the digest of the data tells."""
    write_store(tmp_path / "other.zarr", FRAMES, {}, value=9)
    shutil.copy(tmp_path / "other.zarr/number/c/0", results / FRAMES_OF_HOME / "number/c/0")
    state, place, reason, _ = only(results)
    assert (state, place) == ("damaged", FRAMES_OF_HOME)
    assert reason.startswith("its data have digest sha256:")


def test_other_ids_in_the_root(results):
    root = results / FRAMES_OF_HOME / "zarr.json"
    root.write_text(root.read_text().replace("a.mp4", "c.mp4"))
    assert only(results)[:2] == ("damaged", FRAMES_OF_HOME)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"attributes": 3}', '{"attributes": {"schema": "frames"}}'])
@pytest.mark.parametrize("name", ["zarr.json", "pixels/zarr.json", "provenance/zarr.json"])
def test_metadata_that_is_anything_else_stops_nothing(results, name, content):
    (results / FRAMES_OF_HOME / name).write_text(content)
    (results / NODES_OF_HOME / "box/c/0/0").unlink()
    states = {place: state for state, place, _, _ in found_in(results)}
    assert states[FRAMES_OF_HOME] == "damaged"
    assert states[NODES_OF_HOME] == "damaged"


def test_a_table_that_leads_out_of_its_folder_is_damaged(results):
    table = results / "datasets/home/videos/000.json"
    content = json.loads(table.read_text())
    content["videos"][0]["path"] = "../../x.mp4"
    write_json(table, content)
    damaged = [found for found in found_in(results) if found[0] == "damaged"]
    assert [found[1] for found in damaged] == ["datasets/home/videos/000.json"]
    assert "`videos.0.path`: is no path below its folder" in damaged[0][2]


def test_damaged_files(results):
    captions = results / "experiments/grid/test/captions.json"
    captions.write_text(captions.read_text()[:-5])
    curves = results / "experiments/grid/curves.csv"
    curves.write_bytes(b"")
    model = results / "experiments/grid/model.safetensors"
    model.write_bytes(model.read_bytes()[:-1])
    write_json(results / "datasets/home/videos/000.json", {"root": 3, "videos": [{"id": 5}]})
    states = {place: state for state, place, _, _ in found_in(results)}
    for place in (captions, curves, model, results / "datasets/home/videos/000.json"):
        assert states[place.relative_to(results).as_posix()] == "damaged"


def test_a_folder_that_cannot_be_listed_stops_nothing(results, monkeypatch):
    scandir = os.scandir

    def scan(folder):
        if Path(folder).name == "nodes":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", scan)
    (results / FRAMES_OF_HOME / "time/c/0").unlink()
    found = {place: (state, finding.remove) for state, place, _, finding in found_in(results)}
    assert found == {
        FRAMES_OF_HOME: ("damaged", True),
        "datasets/home/nodes": ("unreadable", False),
    }  # the graphs know the path of their nodes, which are there


def test_a_video_on_a_disk_that_fails_stops_nothing(results, monkeypatch):
    def fail(path):
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(lineage, "file_digest", fail)
    monkeypatch.setattr(lineage.Lineage, "_check_videos", lambda _self, root, *_: fail(root))
    found = {place: (state, finding.remove) for state, place, _, finding in found_in(results)}
    assert found["datasets/home/videos/000.json"] == ("unreadable", False)
    assert found[NODES_OF_HOME][0] == "stale"


def test_absurd_sizes_in_metadata_are_damage(results):
    for name, shape in (("time", "[99999999999999]"), ("pixels", "[6, 99999999999999]")):
        meta = results / FRAMES_OF_HOME / name / "zarr.json"
        content = meta.read_text()
        changed = re.sub(r'"shape": \[[^]]*\]', f'"shape": {shape}', content, count=1)
        assert changed != content
        meta.write_text(changed)
        state, place, _, _ = only(results)
        assert (state, place) == ("damaged", FRAMES_OF_HOME)
        meta.write_text(content)


def test_a_link_within_a_store_is_damage(results, tmp_path):
    chunk = results / FRAMES_OF_HOME / "time/c/0"
    shutil.move(chunk, tmp_path / "chunk")
    chunk.symlink_to(tmp_path / "chunk")
    state, _, reason, _ = only(results)
    assert (state, reason) == ("damaged", "time/c/0 is a link, which no stage writes")

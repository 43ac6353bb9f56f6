"""What the workflow asks of the readers while it is parsed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.datasets.readers import annotation_files, list_videos, listing_digests
from pipeline.datasets.sharding import shard_of
from pipeline.errors import PipelineError


def digests(folder, mapping=None, kind="folder", shards=4):
    return listing_digests(list_videos(kind, folder, mapping), shards)


def test_a_new_video_changes_the_digest_of_its_own_shard_alone(tmp_path):
    for number in range(20):
        (tmp_path / f"{number}.mp4").write_bytes(b"x")
    before = digests(tmp_path)
    (tmp_path / "new.mp4").write_bytes(b"x")
    after = digests(tmp_path)
    changed = [shard for shard in range(4) if before[shard] != after[shard]]
    assert changed == [shard_of("new.mp4", 4)]
    (tmp_path / "new.mp4").write_bytes(b"another size")
    assert digests(tmp_path)[changed[0]] != after[changed[0]]
    (tmp_path / "new.mp4").unlink()
    assert digests(tmp_path) == before


def test_a_new_id_in_the_mapping_changes_the_shards_that_it_leaves_and_enters(tmp_path):
    (tmp_path / "clips").mkdir()
    for number in range(20):
        (tmp_path / "clips" / f"c_{number}_9.avi").write_bytes(b"x")
    mapping = tmp_path / "mapping.txt"
    mapping.write_text("".join(f"c_{number}_9 vid{number}\n" for number in range(20)))
    before = digests(tmp_path / "clips", mapping, "msvd", shards=8)
    mapping.write_text(mapping.read_text().replace("vid7\n", "vid99\n"))
    after = digests(tmp_path / "clips", mapping, "msvd", shards=8)
    changed = {shard for shard in range(8) if before[shard] != after[shard]}
    assert changed == {shard_of("vid7", 8), shard_of("vid99", 8)}


@pytest.mark.parametrize("kind", ["msvd", "msrvtt", "vatex", "coco_captions"])
def test_ids_with_dashes_spaces_and_letters_of_any_script(tmp_path, kind):
    names = ["-x_0_1", "a b-c", "\u00fcber \u65e5\u672c"]
    (tmp_path / "deep").mkdir()
    for name in names:
        (tmp_path / "deep" / f"{name}.mp4").write_bytes(b"x")
    videos = list_videos(kind, tmp_path, None)
    assert [video.id for video in videos] == names
    assert [video.path for video in videos] == [f"deep/{name}.mp4" for name in names]


def test_generated_videos_are_not_brought(tmp_path):
    with pytest.raises(PipelineError, match="kind shapes has no folder of videos"):
        list_videos("shapes", tmp_path, None)


def test_files_of_annotations():
    lists = {"train": "t.txt", "val": "v.txt", "test": None}
    assert annotation_files({"kind": "shapes", "captions": 5}) == []
    assert annotation_files({"kind": "folder", "captions": None, "splits": {"train": 1.0}}) == []
    assert annotation_files({"kind": "folder", "captions": "c.csv", "splits": {"train": 1.0}}) == ["c.csv"]
    assert annotation_files({"kind": "vatex", "captions": lists}) == ["t.txt", "v.txt"]
    assert annotation_files({"kind": "msrvtt", "captions": ["a.json", "b.json"], "splits": "file"}) == [
        "a.json",
        "b.json",
    ]
    msvd = {"kind": "msvd", "captions": "c.csv", "mapping": "m.txt", "splits": lists}
    assert annotation_files(msvd) == ["c.csv", "m.txt", "t.txt", "v.txt"]
    assert annotation_files(msvd | {"mapping": None, "splits": "position"}) == ["c.csv"]


def test_readers_load_neither_numpy_nor_torch():
    code = "import sys, json, pipeline.datasets.readers; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.check_output([sys.executable, "-c", code], cwd=Path(__file__).parents[2]))
    assert not {"numpy", "torch", "zarr", "av", "decord"} & set(modules)

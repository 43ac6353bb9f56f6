"""What the workflow asks of the readers while it is parsed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.datasets.readers import (
    LABELLED,
    annotation_files,
    clip_form,
    label_files,
    list_videos,
    listing_digests,
    mapping_files,
    why_unlabelled,
)
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


LISTED = {
    "kind": "labelled_list",
    "videos": "v",
    "annotations": {"train": "t.txt", "val": 0.1, "test": None},
    "separator": "comma",
    "heads": ["verb", "noun"],
    "classes": {"verb": "v.txt", "noun": "n.txt"},
    "frames": "img_%05d.jpg",
}


def test_which_files_labels_are_read_from(tmp_path):
    assert label_files(LISTED) == ["n.txt", "t.txt", "v.txt"]
    assert mapping_files(LISTED) == ["t.txt"]
    assert annotation_files(LISTED) == []
    assert label_files({"kind": "folder", "captions": "c.csv", "labels": "l.csv"}) == ["c.csv", "l.csv"]
    assert label_files({"kind": "folder", "captions": None, "labels": "folders"}) == []
    assert label_files({"kind": "kinetics", "annotations": {"train": "t.csv", "val": "v.csv"}, "classes": None}) == [
        "t.csv",
        "v.csv",
    ]
    for name in ("trainlist01.txt", "trainlist02.txt", "testlist02.txt", "classInd.txt", "run_test_split2.txt"):
        (tmp_path / name).touch()
    ucf101 = {"kind": "ucf101", "annotations": str(tmp_path), "split": 2}
    named = [str(tmp_path / name) for name in ("classInd.txt", "testlist02.txt", "trainlist02.txt")]
    assert label_files(ucf101) == named
    assert label_files(ucf101 | {"kind": "hmdb51"}) == [str(tmp_path / "run_test_split2.txt")]


def test_how_clips_are_found():
    assert clip_form(LISTED).model_dump() == {"frames": "img_%05d.jpg", "separator": "comma", "num_labels": 2}
    frames = {version: clip_form({"kind": "something_something", "version": version}).frames for version in (1, 2)}
    assert frames == {1: "%05d.jpg", 2: None}
    nothing = {"frames": None, "separator": None, "num_labels": None}
    assert clip_form({"kind": "sync_mnist", "frames": 10}).model_dump() == nothing  # a number of frames


def test_which_data_sets_have_labels():
    assert [why_unlabelled({"kind": kind}) for kind in LABELLED] == [None] * len(LABELLED)
    assert why_unlabelled({"kind": "folder", "labels": "folders"}) is None
    assert "`labels` is null" in why_unlabelled({"kind": "folder", "labels": None})
    assert why_unlabelled({"kind": "msvd"}).startswith("a data set of kind msvd has no labels: kinds with labels are")


def test_a_frame_changes_the_digest_of_its_clips_shard_alone(tmp_path):
    for clip in range(12):
        (tmp_path / f"{clip}").mkdir()
        (tmp_path / f"{clip}/00001.jpg").write_bytes(b"x")
    form = clip_form({"kind": "something_something", "version": 1})
    listed = [list_videos("something_something", tmp_path, None, (), form)]
    (tmp_path / "7/00003.jpg").write_bytes(b"x")
    listed.append(list_videos("something_something", tmp_path, None, (), form))
    before, after = (listing_digests(videos, 4) for videos in listed)
    assert [shard for shard in range(4) if before[shard] != after[shard]] == [shard_of("7", 4)]
    assert [video.lacking for video in listed[1] if video.id == "7"] == [1]

import pytest

from pipeline.artifact import write_json
from pipeline.datasets.shapes.made import read_captions, read_list
from pipeline.errors import PipelineError


def write_made(folder, *videos):
    folder.mkdir(parents=True)
    entries = []
    for video_id, split, captions in videos:
        (folder / f"{video_id}.mp4").write_bytes(video_id.encode())
        size = len(video_id)
        entry = {"id": video_id, "file": f"{video_id}.mp4", "size": size, "sha256": "0", "split": split}
        entries.append({**entry, "captions": captions})
    write_json(folder / "list.json", {"videos": entries})
    return folder / "list.json"


def test_captions_and_splits_of_all_shards(tmp_path):
    made = [
        write_made(tmp_path / "000", ("c", "train", ["x", "y"]), ("a", "test", ["z"])),
        write_made(tmp_path / "001", ("b", "train", ["w"])),
    ]
    assert [video["id"] for video in read_list(made[0])] == ["a", "c"]
    captions, splits = read_captions(made)
    assert captions == {"a": ["z"], "b": ["w"], "c": ["x", "y"]}
    assert splits == {"train": ["b", "c"], "val": [], "test": ["a"]}


def test_a_missing_list_names_the_stage(tmp_path):
    with pytest.raises(PipelineError, match="make_shapes"):
        read_list(tmp_path / "list.json")


def test_a_missing_video_names_the_stage(tmp_path):
    made = write_made(tmp_path / "000", ("c", "train", ["x"]))
    (tmp_path / "000" / "c.mp4").unlink()
    with pytest.raises(PipelineError, match=r"c\.mp4.*make_shapes again"):
        read_list(made)

import json

import pytest

from pipeline.config import SplitLists, VatexSettings
from pipeline.datasets.annotated import find_clips
from pipeline.datasets.vatex import list_videos, read_annotations
from pipeline.errors import PipelineError


def settings_of(folder, **content):
    paths = {split: folder / f"{split}.json" if split in content else None for split in ("train", "val", "test")}
    for split, items in content.items():
        paths[split].write_text(json.dumps(items))
    return VatexSettings(kind="vatex", shards=2, videos=folder, captions=SplitLists(**paths))


def item(clip, captions=2):
    return {"videoID": clip, "enCap": [f"{n} of {clip}" for n in range(captions)], "chCap": ["\u4e00"] * captions}


def test_clips_by_split(tmp_path):
    ids = ["-Zy2_000010_000020", "a b_000000_000010", "\u65e5_000001_000011"]
    for clip in ids[:2]:
        (tmp_path / f"{clip}.mp4").write_bytes(b"x")
    settings = settings_of(tmp_path, train=[item(ids[1]), item(ids[0], 10)], val=[item(ids[2])])
    videos = list_videos(tmp_path)
    assert [video.id for video in videos] == ids[:2]
    found = find_clips(read_annotations(settings), ids[:2])
    assert found.splits == {"train": ids[:2], "val": [], "test": []}
    assert found.captions[ids[0]] == [f"{n} of {ids[0]}" for n in range(10)]
    assert found.missing == ids[2:]
    assert found.annotated == {"train": 2, "val": 1, "test": 0}


def test_the_language_chooses_the_captions(tmp_path):
    settings = settings_of(tmp_path, train=[item("a"), {"videoID": "b", "chCap": ["\u4e8c"]}], val=[])
    with pytest.raises(PipelineError, match=r"item\[1\]: there is no `enCap`"):
        read_annotations(settings)
    assert read_annotations(settings.model_copy(update={"language": "zh"})).captions == {
        "a": ["\u4e00", "\u4e00"],
        "b": ["\u4e8c"],
    }


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ({"a": 1}, r"val\.json: the file must be a list"),
        ([{"videoID": "a"}], r"val\.json: item\[0\]: there is no `enCap`"),
        ([item("a"), {"enCap": []}], r"val\.json: item\[1\]: there is no `videoID`"),
        ([{"videoID": "a", "enCap": "c"}], r"item\[0\]: `enCap` must be a list"),
        ([item("../a")], r"item\[0\]: the id '\.\./a' would leave the data folder"),
        ([item("t")], r"item\[0\]: t is in split val here and in train before"),
    ],
)
def test_malformed_files_are_named(tmp_path, items, message):
    with pytest.raises(PipelineError, match=message):
        read_annotations(settings_of(tmp_path, train=[item("t")], val=items))


def test_the_private_test_has_ids_alone(tmp_path):
    settings = settings_of(tmp_path, train=[item("t")], val=[item("v")], test=[{"videoID": "p"}])
    found = find_clips(read_annotations(settings), ["t", "v", "p"])
    assert found.splits == {"train": ["t"], "val": ["v"], "test": []}
    assert found.notes == ["in a split, but without captions: p"]


def test_a_missing_file(tmp_path):
    settings = settings_of(tmp_path, train=[item("t")], val=[item("v")])
    (tmp_path / "val.json").unlink()
    with pytest.raises(PipelineError, match=r"`captions\.val: .*val\.json`: there is no such file"):
        read_annotations(settings)

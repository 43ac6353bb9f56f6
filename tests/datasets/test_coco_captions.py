import json

import pytest

from pipeline.config import CocoCaptionsSettings, SplitLists
from pipeline.datasets.coco_captions import list_videos, read_annotations
from pipeline.errors import PipelineError


def settings_of(folder, **content):
    paths = {split: folder / f"{split}.json" if split in content else None for split in ("train", "val", "test")}
    for split, items in content.items():
        paths[split].write_text(json.dumps(items))
    return CocoCaptionsSettings(kind="coco_captions", shards=2, videos=folder, captions=SplitLists(**paths))


def coco(*clips, captions=1):
    images = [clip if isinstance(clip, dict) else {"id": clip} for clip in clips]
    said = [{"id": n, "image_id": i["id"], "caption": f"{n} of {i['id']}"} for n in range(captions) for i in images]
    return {"info": {}, "images": images, "annotations": said, "licenses": []}


def test_clips_are_called_by_file_or_id(tmp_path):
    (tmp_path / "a-b c.mp4").write_bytes(b"x")
    settings = settings_of(
        tmp_path,
        train=coco({"id": 7, "file_name": "a-b c.mp4"}, 8, "v\u00fc", captions=2),
        val=coco("w"),
    )
    annotations = read_annotations(settings)
    assert annotations.captions == {
        "a-b c": ["0 of 7", "1 of 7"],
        "8": ["0 of 8", "1 of 8"],
        "v\u00fc": ["0 of v\u00fc", "1 of v\u00fc"],
        "w": ["0 of w"],
    }
    assert annotations.split_of == {"a-b c": "train", "8": "train", "v\u00fc": "train", "w": "val"}
    assert [video.id for video in list_videos(tmp_path)] == ["a-b c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"annotations": []}, r"there is no `images` at its top \(found `annotations`\)"),
        ({"images": []}, "there is no `annotations` at its top"),
        ({"images": [{"file_name": "a"}], "annotations": []}, r"images\[0\]: there is no `id`"),
        ({"images": [], "annotations": [{"caption": "c"}]}, r"annotations\[0\]: there is no `image_id`"),
        (
            {"images": [{"id": 1}], "annotations": [{"image_id": 2, "caption": "c"}]},
            r"annotations\[0\]: there is no image 2 in `images`",
        ),
        (coco({"id": 1, "file_name": "../x.mp4"}), r"images\[0\]: the id '\.\./x' would leave the data folder"),
        (coco("t"), r"images\[0\]: t is in split val here and in train before"),
    ],
)
def test_malformed_files_are_named(tmp_path, content, message):
    with pytest.raises(PipelineError, match=rf"val\.json: {message}"):
        read_annotations(settings_of(tmp_path, train=coco("t"), val=content))

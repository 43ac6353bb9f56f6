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


def image(number, file):
    return {"id": number, "file_name": file}


def said(*captions):
    return [{"image_id": number, "caption": caption} for number, caption in captions]


def test_a_dot_in_a_name_is_no_extension(tmp_path):
    images = [image(1, "q_1_4"), image(2, "q_1_4.5"), image(3, "q_1_4.75.mp4"), image(4, "v_0.264")]
    content = {"images": images, "annotations": said((1, "one"), (2, "two"), (3, "three"), (4, "four"))}
    captions = read_annotations(settings_of(tmp_path, train=content, val=coco())).captions
    assert captions == {"q_1_4": ["one"], "q_1_4.5": ["two"], "q_1_4.75": ["three"], "v_0.264": ["four"]}
    for name in ("q_1_4.mp4", "q_1_4.5.mp4", "q_1_4.75.mp4", "v_0.264.mkv"):
        (tmp_path / name).touch()
    assert [video.id for video in list_videos(tmp_path)] == sorted(captions)


def test_several_images_of_one_file_are_one_clip(tmp_path):
    content = {"images": [image(1, "a.mp4"), image(2, "a.mp4")], "annotations": said((1, "first"), (2, "second"))}
    assert read_annotations(settings_of(tmp_path, train=content, val=coco())).captions == {"a": ["first", "second"]}


@pytest.mark.parametrize("file", ["data/MINE/videos/clip a.avi", "/home/me/clip a.avi", "C:\\mine\\clip a.avi"])
def test_a_file_name_may_be_a_path(tmp_path, file):
    content = {"images": [{"id": file, "file_name": file}], "annotations": said((file, "x"))}
    assert read_annotations(settings_of(tmp_path, train=content, val=coco())).captions == {"clip a": ["x"]}


def test_whole_numbers_may_be_written_as_pandas_does(tmp_path):
    content = {"images": [image(1.0, "a.mp4")], "annotations": said((1, "x"), (1.0, "y"))}
    assert read_annotations(settings_of(tmp_path, train=content, val=coco())).captions == {"a": ["x", "y"]}


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
        (
            {"images": [image(1, "a.mp4"), image(1, "b.mp4")], "annotations": said((1, "of which?"))},
            r"images\[1\]: the id 1 is b here and a before: give each its own",
        ),
        (
            {"images": [image(1, "x/a.mp4"), image(2, "y/a.mp4")], "annotations": []},
            r"images\[1\]: y/a\.mp4 and x/a\.mp4 are both called a: rename one",
        ),
        (coco({"id": 1.5}), r"images\[0\]: the id of an image must be a number or a text, not 1\.5"),
        (coco("t"), r"images\[0\]: t is in split val here and in train before"),
    ],
)
def test_malformed_files_are_named(tmp_path, content, message):
    with pytest.raises(PipelineError, match=rf"val\.json: {message}"):
        read_annotations(settings_of(tmp_path, train=coco("t"), val=content))

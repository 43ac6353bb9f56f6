import json

import numpy as np
import pytest
from toys.sync_mnist import RAW, sync_mnist

from pipeline.artifact import each_video, read_json
from pipeline.artifact.clip_store import ClipStore
from pipeline.datasets.sync_mnist.made import read_boxes, read_scenes
from pipeline.errors import ArtifactError, PipelineError
from pipeline.stages import draw_sync_mnist, make_sync_mnist


def make(folder, shard=0, **changed):
    make_sync_mnist.run(folder / "list.json", folder / "truth.json", sync_mnist(**changed), shard)
    return folder / "truth.json"


def draw(folder, name="clips.zarr", clipping=RAW, **changed):
    draw_sync_mnist.run(folder / "truth.json", folder / name, sync_mnist(**changed), clipping)
    return ClipStore([folder / name])


def test_the_list_the_truth_and_the_frames_agree(tmp_path):
    make(tmp_path)
    made = read_json(tmp_path / "list.json", ["classes", "videos"], "make_sync_mnist")
    classes, videos = made["classes"], sorted(made["videos"], key=lambda video: video["id"])
    scenes, boxes = read_scenes(tmp_path / "truth.json"), read_boxes(tmp_path / "truth.json")
    store = draw(tmp_path)
    assert (len(classes), classes[:3], classes[45]) == (46, ["0+1", "0+2", "1+2"], "none")
    assert [video["id"] for video in videos] == store.ids == list(scenes) == list(boxes)
    assert [video["split"] for video in videos] == ["test"] * 4 + ["train"] * 6 + ["val"] * 2
    for video in videos:
        scene = scenes[video["id"]]
        assert video["label"] == scene.label(sync_mnist())
        frames = store.read(video["id"], range(10))
        assert frames.shape == (10, 64, 64, 1)
        left, top, right, bottom = (boxes[video["id"]][3, -1] * 64).round().astype(int)
        assert frames[3, top:bottom, left:right].max() > 200
        outside = np.ones((64, 64), bool)
        for left, top, right, bottom in boxes[video["id"]][3] * 64:
            outside[int(top) - 1 if top >= 1 else 0 : int(bottom) + 2, max(0, int(left) - 1) : int(right) + 2] = False
        assert not frames[3, outside].any()
    assert np.allclose(store.times(store.ids[0]), np.arange(10) / 10)


def test_shards_and_numbers_of_clips_change_no_clip(tmp_path):
    whole = read_scenes(make(tmp_path))
    parts = {}
    for shard in range(2):
        (tmp_path / str(shard)).mkdir()
        parts |= read_scenes(make(tmp_path / str(shard), shard, shards=2, clips={"train": 5, "val": 1, "test": 1}))
    assert len(parts) == 7
    for clip_id, scene in parts.items():
        assert np.array_equal(scene.tracks_TD2, whole[clip_id].tracks_TD2)
        assert np.array_equal(scene.glyphs_D, whole[clip_id].glyphs_D)


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    make(tmp_path)
    draw(tmp_path, "whole.zarr")

    def stopping(items, total, label):
        for number, item in enumerate(items):
            if number == 5:
                raise KeyboardInterrupt
            yield item

    with monkeypatch.context() as patched:
        patched.setattr(each_video, "track", stopping)
        with pytest.raises(KeyboardInterrupt):
            draw(tmp_path, "killed.zarr")
    draw(tmp_path, "killed.zarr")
    roots = [(tmp_path / name / "zarr.json").read_bytes() for name in ("whole.zarr", "killed.zarr")]
    assert roots[0] == roots[1]


def test_frames_may_be_jpeg(tmp_path):
    make(tmp_path)
    pixels, store = draw(tmp_path), draw(tmp_path, "jpeg.zarr", RAW.model_copy(update={"codec": "jpeg"}))
    one, other = (of.read("val-000001", [0, 9]).astype(int) for of in (pixels, store))
    assert one.shape == other.shape
    assert 0 < np.abs(one - other).mean() < 4


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"fps": 5.0}, "`fps`.*null"),
        ({"short_side": 32}, "`short_side`.*64 or more"),
        ({"max_frames": 9}, "10 or more"),
    ],
)
def test_clippings_that_would_change_the_frames(tmp_path, changed, told):
    make(tmp_path)
    with pytest.raises(PipelineError, match=told):
        draw(tmp_path, clipping=RAW.model_copy(update=changed))


@pytest.mark.parametrize(
    ("key", "value"), [("tracks", ["0,0"]), ("digits", "1 x 3 4 5"), ("tracks", ["99,0 " * 10] * 5), ("glyphs", None)]
)
def test_a_truth_that_was_edited(tmp_path, key, value):
    path = make(tmp_path)
    content = json.loads(path.read_text())
    content["videos"]["val-000000"][key] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match="is not what make_sync_mnist writes"):
        read_scenes(path)

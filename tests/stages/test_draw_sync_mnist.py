import json

import numpy as np
import pytest
from toys.sync_mnist import RAW, make_truth, sync_mnist

from pipeline.artifact import each_video
from pipeline.artifact.clip_store import ClipStore
from pipeline.config import IdxGlyphs
from pipeline.datasets.sync_mnist.glyphs import glyph_bank
from pipeline.datasets.sync_mnist.made import read_boxes
from pipeline.errors import PipelineError
from pipeline.stages import make_sync_mnist
from pipeline.stages.draw_sync_mnist import run


def draw(truth, name="clips.zarr", clipping=RAW):
    run(truth, truth.parent / name, sync_mnist(), clipping)
    return ClipStore([truth.parent / name])


def test_digits_are_where_the_truth_says_and_nowhere_else(tmp_path):
    truth = make_truth(tmp_path)
    store, boxes = draw(truth), read_boxes(truth)
    assert store.ids == [*boxes]
    for clip_id in store.ids:
        frames = store.read(clip_id, range(10))
        assert frames.shape == (10, 64, 64, 1)
        outside = np.ones((64, 64), bool)
        for box in boxes[clip_id][3] * 64:
            left, top, right, bottom = np.concatenate([np.floor(box[:2]), np.ceil(box[2:])]).astype(int)
            outside[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1] = False  # a pixel for the scaling
        assert not frames[3, outside].any()
        left, top, right, bottom = (boxes[clip_id][3, -1] * 64).round().astype(int)  # the one in front
        assert frames[3, top:bottom, left:right].max() > 200
    assert np.allclose(store.times(store.ids[0]), np.arange(10) / 10)


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    truth = make_truth(tmp_path)
    draw(truth, "whole.zarr")

    def stopping(items, total, label, before):
        for number, item in enumerate(items):
            if number == 5:
                raise KeyboardInterrupt
            yield item

    with monkeypatch.context() as patched:
        patched.setattr(each_video, "track", stopping)
        with pytest.raises(KeyboardInterrupt):
            draw(truth, "killed.zarr")
    draw(truth, "killed.zarr")
    roots = [(tmp_path / name / "zarr.json").read_bytes() for name in ("whole.zarr", "killed.zarr")]
    assert roots[0] == roots[1]


def test_other_images_of_the_same_digits_are_drawn_anew(tmp_path):
    """The truth has the numbers of the images alone, so that it is the same for them."""

    def draw_all(ink):
        for split in ("train", "test"):
            (tmp_path / f"{split}-labels").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 12, *([0, 1] * 6)]))
            header = b"".join(size.to_bytes(4, "big") for size in (0x0803, 12, 28, 28))
            (tmp_path / f"{split}-images").write_bytes(header + bytes([ink]) * 12 * 784)
        files = {split: {of: f"{tmp_path}/{split}-{of}" for of in ("images", "labels")} for split in ("train", "test")}
        glyphs = IdxGlyphs.model_validate_json(json.dumps(files))
        settings = sync_mnist(digits=2, classes=2).model_copy(update={"glyphs": glyphs})
        glyph_bank.cache_clear()  # each job has a process of its own
        make_sync_mnist.run(tmp_path / "list.json", tmp_path / "truth.json", settings, 0)
        run(tmp_path / "truth.json", tmp_path / "clips.zarr", settings, RAW)
        return ClipStore([tmp_path / "clips.zarr"]).read("test-000000", [0]).max()

    assert (draw_all(200), draw_all(90)) == (200, 90)


def test_frames_may_be_jpeg(tmp_path):
    truth = make_truth(tmp_path)
    pixels, store = draw(truth), draw(truth, "jpeg.zarr", RAW.model_copy(update={"codec": "jpeg"}))
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
    with pytest.raises(PipelineError, match=told):
        draw(make_truth(tmp_path), clipping=RAW.model_copy(update=changed))

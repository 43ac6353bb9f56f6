import json

import numpy as np
import pytest
from toys.sync_mnist import make_truth, sync_mnist

from pipeline.artifact import read_json
from pipeline.datasets.sync_mnist.made import read_boxes, read_scenes
from pipeline.errors import ArtifactError


def test_the_list_and_the_truth_agree(tmp_path):
    truth = make_truth(tmp_path)
    made = read_json(tmp_path / "list.json", ["classes", "videos"], "make_sync_mnist")
    assert (len(made["classes"]), made["classes"][:3], made["classes"][45]) == (46, ["0+1", "0+2", "1+2"], "none")
    assert [video["split"] for video in made["videos"]] == ["train"] * 6 + ["val"] * 2 + ["test"] * 4
    scenes, boxes = read_scenes(truth), read_boxes(truth)
    assert [*scenes] == [*boxes] == sorted(video["id"] for video in made["videos"])
    for video in made["videos"]:
        scene = scenes[video["id"]]
        assert video["label"] == scene.label(sync_mnist())
        assert np.allclose(boxes[video["id"]][:, :, 0] * 100, scene.tracks_TD2[:, :, 1])


def test_shards_and_numbers_of_clips_change_no_clip(tmp_path):
    whole = read_scenes(make_truth(tmp_path))
    parts = {}
    for shard in range(2):
        folder = tmp_path / str(shard)
        folder.mkdir()
        parts |= read_scenes(make_truth(folder, shard, shards=2, clips={"train": 5, "val": 1, "test": 1}))
    assert len(parts) == 7
    for clip_id, scene in parts.items():
        assert np.array_equal(scene.tracks_TD2, whole[clip_id].tracks_TD2)
        assert np.array_equal(scene.glyphs_D, whole[clip_id].glyphs_D)


@pytest.mark.parametrize(
    ("key", "value"), [("tracks", ["0,0"]), ("digits", "1 x 3 4 5"), ("tracks", ["99,0 " * 10] * 5), ("glyphs", None)]
)
def test_a_truth_that_was_edited(tmp_path, key, value):
    path = make_truth(tmp_path)
    content = json.loads(path.read_text())
    content["videos"]["val-000000"][key] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match="is not what make_sync_mnist writes"):
        read_scenes(path)

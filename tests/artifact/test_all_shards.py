"""Videos over several stores, and which of their arrays are held in memory."""

import numpy as np
import pytest
from toys.stores import NODE_THINGS

from pipeline.artifact import ArtifactError, create, read
from pipeline.artifact.all_shards import AllShards, hold_smallest


@pytest.fixture
def stores(tmp_path):
    """Two shards of videos with 1, 2 and 3 nodes of 4 features, and one in which every video failed."""
    for name, sizes in (("000", {"a": 1, "b": 2}), ("001", {"c": 3}), ("002", {})):
        ids = [*sizes, f"bad {name}"]
        with create(tmp_path / name, NODE_THINGS, ids=ids, stage=NODE_THINGS.stage, settings={}, inputs={}) as writer:
            for video_id, num in sizes.items():
                x = np.full((num, 4), num / 2)
                writer.append(video_id, x=x, node_frame=np.arange(num), fps=np.array([num + 0.5]))
            writer.fail(f"bad {name}", "cut off")
    return [read(tmp_path / name, NODE_THINGS) for name in ("000", "001", "002")]


@pytest.mark.parametrize("held", [[], ["x"], ["fps", "node_frame"]])
def test_rows_are_the_same_from_memory_and_from_disk(stores, held):
    shards = AllShards(stores, ["x", "node_frame", "fps"])
    for name in held:
        shards.hold(name)
    assert shards.ids == ["a", "b", "c"]
    assert shards.failed == {"bad 000": "cut off", "bad 001": "cut off", "bad 002": "cut off"}
    for number, video_id in enumerate(shards.ids, start=1):
        rows = shards.video(video_id)
        assert rows["x"].tolist() == [[number / 2] * 4] * number
        assert rows["node_frame"].tolist() == list(range(number))
        assert rows["fps"].tolist() == [number + 0.5]
    assert "c" in shards
    assert "bad 000" not in shards


def test_sizes(stores):
    shards = AllShards(stores, ["x", "fps"])
    assert (shards.num_bytes("x"), shards.num_bytes("fps")) == (6 * 4 * 2, 3 * 4)
    assert shards.width("x") == 4
    assert AllShards(stores[2:], ["x"]).width("x") == 0  # nobody knows


@pytest.mark.parametrize(
    ("limit", "held"), [(11, []), (12, ["fps"]), (35, ["fps", "node_frame"]), (71, ["fps", "node_frame"])]
)
def test_the_smallest_are_held(stores, limit, held, monkeypatch):
    """fps takes 12 bytes, node_frame another 12, x 48."""
    kept = []
    shards = AllShards(stores, ["x", "node_frame", "fps"])
    monkeypatch.setattr(shards, "hold", kept.append)
    hold_smallest([shards], limit)
    assert kept == held


def test_all_are_held_if_they_fit(stores):
    assert hold_smallest([AllShards(stores, ["x", "node_frame", "fps"])], 72)
    assert not hold_smallest([AllShards(stores, ["x", "node_frame", "fps"])], 71)
    assert not hold_smallest([AllShards(stores, ["x"]), AllShards(stores, ["x"])], 95)  # together
    assert hold_smallest([AllShards(stores, ["x"]), AllShards(stores, ["x"])], 96)


def test_videos_that_nobody_knows_are_missed(stores):
    shards = AllShards(stores, ["x"])
    shards.expect(["a", "c", "bad 001"])
    with pytest.raises(ArtifactError, match=r"002: video d is missing, expected every shard of the data set"):
        shards.expect(["a", "d"])
    with pytest.raises(ArtifactError, match="video a is also in"):
        AllShards([stores[0], stores[0]], ["x"])

from pipeline.datasets.sharding import shard_of
from pipeline.workflow.shards import shard_names


def test_a_video_stays_in_its_shard_when_others_are_added():
    assert [shard_of(video_id, 4) for video_id in ("a.mp4", "b/c d.mp4", "\u00e9-1.avi", "train-00003")] == [0, 0, 0, 1]
    assert {shard_of(str(number), 4) for number in range(100)} == {0, 1, 2, 3}


def test_names_sort_as_numbers_do():
    assert shard_names(3) == ["000", "001", "002"]

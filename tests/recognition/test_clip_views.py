"""The geometry of the views: 1x1, 3x2, 11x2 (RSTG) and 10x3, written out."""

import numpy as np
import pytest

from pipeline.config import ClipSamplingSettings, ViewSettings
from pipeline.errors import PipelineError
from pipeline.recognition.augmentation import Crop
from pipeline.recognition.clip_views import (
    protocol_of,
    resized_size,
    spatial_views,
    squares,
    temporal_views,
    training_frames,
    validation_frames,
    view_numbers,
)
from pipeline.recognition.scored_views import ViewReader


def sampling(kind, number, stride=None):
    return ClipSamplingSettings(sampling=kind, number=number, stride=stride)


def views(temporal, spatial, short_side=256, size=256):
    return ViewSettings(temporal=temporal, spatial=spatial, short_side=short_side, size=size, batch_size=8)


def test_squares_by_hand():
    """Of 256 x 341, a frame of 240 x 320 whose short side is 256."""
    assert resized_size(240, 320, 256) == (256, 341)
    assert resized_size(320, 240, 256) == (341, 256)
    assert squares(256, 341, 224, 1) == [Crop(16, 58, 224, 224)]
    assert squares(256, 341, 256, 3) == [Crop(0, left, 256, 256) for left in (0, 42, 84)]
    eleven = [0, 8, 17, 25, 34, 42, 51, 59, 68, 76, 85]
    assert squares(256, 341, 256, 11) == [Crop(0, left, 256, 256) for left in eleven]
    assert squares(341, 256, 256, 3) == [Crop(top, 0, 256, 256) for top in (0, 42, 84)]


def test_samples_of_segments_by_hand():
    """Of 10 frames, 4 segments of 2.5: middles 1.25, 3.75, 6.25, 8.75; starts 0, 2.5, 5, 7.5."""
    four = sampling("segments", 4)
    assert temporal_views(four, 10, 1).tolist() == [[1, 3, 6, 8]]
    assert temporal_views(four, 10, 2).tolist() == [[1, 3, 6, 8], [0, 2, 5, 7]]
    assert temporal_views(four, 40, 5).tolist() == [[2 * v + 10 * i for i in range(4)] for v in range(5)]
    assert temporal_views(four, 3, 2).tolist() == [[0, 1, 1, 2], [0, 0, 1, 2]]  # a clip shorter than the sampling


def test_uniform_samples_by_hand():
    """RSTG: from the first to the last frame, rounded down; the second sample is late by round(0.5 x 50 / 4) = 6."""
    assert temporal_views(sampling("uniform", 4), 50, 2).tolist() == [[0, 16, 32, 49], [6, 22, 38, 49]]


def test_dense_samples_by_hand():
    """Every second frame of 20, in three windows of 4: from the kept frames 0, 3 and 6."""
    assert temporal_views(sampling("dense", 4, 2), 20, 3).tolist() == [[0, 2, 4, 6], [6, 8, 10, 12], [12, 14, 16, 18]]


def test_cast_views_of_segments_begin_with_the_starts():
    """Two of 16 segments of 60 frames; of 10 frames and of 16, whose places are half a frame apart at least."""
    sixteen = sampling("segments", 16)
    starts, middles = temporal_views(sixteen, 60, 2, "cast").tolist()
    assert starts == [0, 3, 7, 11, 15, 18, 22, 26, 30, 33, 37, 41, 45, 48, 52, 56]
    assert middles == [1, 5, 9, 13, 16, 20, 24, 28, 31, 35, 39, 43, 46, 50, 54, 58]
    starts, middles = temporal_views(sixteen, 10, 2, "cast").tolist()
    assert starts == [0, 0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 6, 7, 8, 8, 9]
    assert middles == [0, 0, 1, 2, 2, 3, 4, 4, 5, 5, 6, 7, 7, 8, 9, 9]
    assert temporal_views(sixteen, 16, 2, "cast").tolist() == [list(range(16))] * 2
    for num_frames in (1, 7, 60, 300):  # the published form: all places in order, every second one for a clip
        tick = num_frames / 16
        both = sorted([int(k * tick) for k in range(16)] + [int(tick / 2 + k * tick) for k in range(16)])
        assert temporal_views(sixteen, num_frames, 2, "cast").tolist() == [both[0::2], both[1::2]]


def test_cast_views_of_windows():
    """Five windows of 16 at stride 4; a clip of 300 frames, one of 70, whose kept frames are 18, and one of 9."""
    dense = sampling("dense", 16, 4)
    views = temporal_views(dense, 300, 5, "cast")
    assert (views // 4).tolist() == [list(range(start, start + 16)) for start in (0, 14, 29, 44, 59)]
    assert (temporal_views(dense, 70, 5, "cast")[:, 0] // 4).tolist() == [0, 0, 1, 1, 2]
    assert temporal_views(dense, 9, 5, "cast").tolist() == [[0, 4] + [8] * 14] * 5


def test_cast_squares_reach_the_end():
    """Of 298 x 224 and of 224 x 341, whose free way is 74 and 117 pixels."""
    assert squares(224, 298, 224, 3, "cast") == [Crop(0, left, 224, 224) for left in (0, 37, 74)]
    assert squares(341, 224, 224, 3, "cast") == [Crop(top, 0, 224, 224) for top in (0, 58, 117)]
    assert squares(341, 224, 224, 3, "tsm") == [Crop(top, 0, 224, 224) for top in (0, 58, 116)]
    assert squares(224, 298, 224, 1, "cast") == squares(224, 298, 224, 1)


def test_a_reader_of_views_has_the_protocol_of_its_recognizer():
    """Frame f of the clip is f everywhere but in its last column, which only CAST's third square shows."""
    frames = np.repeat(np.arange(8, dtype=np.uint8), 4 * 9).reshape(8, 4, 9, 1)
    frames[:, :, -1] = 200

    class Clips:
        def num_frames(self, _):
            return len(frames)

        def read(self, _, numbers):
            return frames[numbers]

    taken = [sampling("segments", 2), views(2, 3, short_side=4, size=4), 1]
    cast = ViewReader(Clips(), *taken, protocol_of("cast")).read(["a"])
    tsm = ViewReader(Clips(), *taken, protocol_of("convolutional")).read(["a"])
    assert cast[0, :, :, 0, 0, 0].tolist() == [[0, 4]] * 3 + [[2, 6]] * 3
    assert tsm[0, :, :, 0, 0, 0].tolist() == [[2, 6]] * 3 + [[0, 4]] * 3
    assert (cast == 200).any(dim=(2, 3, 4, 5))[0].tolist() == [False, False, True] * 2
    assert not (tsm == 200).any()


def test_training_samples_as_cast_draws_them():
    """16 segments rounded down, of 40 frames; windows of 64 frames, whose last one is never reached."""
    drawn = np.stack([training_frames(sampling("segments", 16), 40, np.random.default_rng(s)) for s in range(60)])
    assert [set(column) for column in drawn.T.tolist()] == [{2 * k, 2 * k + 1} for k in range(16)]
    rng = np.random.default_rng(1)
    window = np.array([0, 4, 8, 12, 17, 21, 25, 29, 34, 38, 42, 46, 51, 55, 59, 63])
    drawn = np.stack([training_frames(sampling("dense", 16, 4), 67, rng) for _ in range(60)])
    assert {tuple(row - row[0]) for row in drawn} == {tuple(window)}
    assert set(drawn[:, 0].tolist()) == {0, 1, 2}
    assert training_frames(sampling("dense", 16, 4), 9, rng).tolist() == [0] + [8] * 15


def test_training_and_validation_frames():
    rng = np.random.default_rng(0)
    drawn = [training_frames(sampling("segments", 4), 8, rng) for _ in range(99)]
    assert {tuple(frames // 2) for frames in drawn} == {(0, 1, 2, 3)}
    assert len({tuple(frames) for frames in drawn}) == 16
    assert validation_frames(sampling("segments", 4), 8).tolist() == [1, 3, 5, 7]
    assert validation_frames(sampling("segments", 4), 4).tolist() == [0, 0, 0, 0]  # as published
    assert validation_frames(sampling("segments", 4), 4, "cast").tolist() == [0, 1, 2, 3]  # a segment has one frame
    assert validation_frames(sampling("segments", 4), 3, "cast").tolist() == [0, 0, 0, 0]
    assert validation_frames(sampling("segments", 4), 8, "cast").tolist() == [1, 3, 5, 7]
    assert validation_frames(sampling("uniform", 4), 7).tolist() == [0, 2, 4, 6]
    late = {tuple(training_frames(sampling("uniform", 2), 9, rng)) for _ in range(99)}
    assert late == {(0, 8), (1, 8), (2, 8), (3, 8), (4, 8)}
    whole = {tuple(training_frames(sampling("uniform", 4), 4, rng)) for _ in range(99)}
    assert whole == {(0, 1, 2, 3)}  # such as SyncMNIST's ten of ten: none is lost, and none comes twice
    one = [int(training_frames(sampling("uniform", 1), 3, rng)[0]) for _ in range(300)]
    assert min(one.count(frame) for frame in range(3)) > 75
    with pytest.raises(PipelineError, match="cannot be taken of a clip of 0"):
        training_frames(sampling("uniform", 4), 0, rng)
    with pytest.raises(PipelineError, match="cannot be taken of a clip of 0"):
        training_frames(sampling("dense", 4, 2), 0, rng)


@pytest.mark.parametrize(("temporal", "spatial"), [(1, 1), (2, 3), (2, 11), (10, 3)])
def test_numbers_and_shapes_of_the_views(temporal, spatial):
    when, where = view_numbers(views(temporal, spatial))
    assert when.tolist() == [v // spatial for v in range(temporal * spatial)]
    assert where.tolist() == [v % spatial for v in range(temporal * spatial)]


def test_squares_are_cut_out_of_the_frames_from_left_to_right():
    frames = np.broadcast_to(np.arange(16, dtype=np.uint8)[:, None], (2, 8, 16, 1))
    found = spatial_views(frames.copy(), 8, 8, 3)
    assert found.shape == (3, 2, 1, 8, 8)
    assert found[:, 1, 0, 5].tolist() == [list(range(left, left + 8)) for left in (0, 4, 8)]
    assert spatial_views(frames.copy(), 8, 6, 1)[0, 0, 0, :, 0].tolist() == [5] * 6  # (16 - 6) / 2
    whole = spatial_views(frames.copy(), None, 8, 1)
    assert whole.shape == (1, 2, 1, 8, 8)
    assert (np.diff(whole[0, 0, 0, 0].numpy().astype(int)) > 0).all()  # squeezed, not cut

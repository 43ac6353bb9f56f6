"""Maps of one size: resizing, times and rounding, with the answers written out."""

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.models.map_alignment import align, require_small, rounded, step_frames


def test_maps_are_resized_between_the_middles_of_cells():
    maps_THWC = np.arange(4, dtype=np.float32).reshape(4, 1, 1, 1)
    assert align(maps_THWC, (2, 1, 1)).ravel().tolist() == [0.5, 2.5]
    assert align(maps_THWC[:2], (4, 1, 1)).ravel().tolist() == [0.0, 0.25, 0.75, 1.0]
    row = np.array([[[[0.0, 1.0], [4.0, 5.0]]]], np.float32)  # one step, one row, two columns, two channels
    assert align(row, (1, 1, 4))[0, 0].tolist() == [[0.0, 1.0], [1.0, 2.0], [3.0, 4.0], [4.0, 5.0]]


def test_maps_of_that_size_stay_as_they_are():
    maps_THWC = np.random.default_rng(0).random((3, 2, 2, 5), np.float32)
    assert np.array_equal(align(maps_THWC, (3, 2, 2)), maps_THWC)


def test_steps_are_in_the_middle_of_their_frames():
    """Windows from 0 and 16 of 16 frames, two steps each: frames 0-7, 8-15, 16-23, 24-31."""
    assert step_frames((0, 16), 16, 2, 4).tolist() == [3.5, 11.5, 19.5, 27.5]
    assert step_frames((0, 16), 16, 2, 2).tolist() == [7.5, 23.5]
    assert step_frames((0,), 16, 1, 1).tolist() == [7.5]


def test_numbers_are_rounded_to_the_nearest_that_keeps_so_many_bits():
    """With two bits of the fraction: 1, 1.25, 1.5, 1.75 and these times a power of two."""
    given = np.array([0.0, 1.0, 1.1, 1.2, 1.9, -1.1, -2.3, 3.6], np.float32)
    assert rounded(given, 2).tolist() == [0.0, 1.0, 1.0, 1.25, 2.0, -1.0, -2.5, 3.5]
    assert rounded(np.array([65504.0, -65504.0], np.float32), 2).tolist() == [57344.0, -57344.0]
    assert np.array_equal(rounded(given, 10), given.astype(np.float16))


@pytest.mark.parametrize("bits", range(1, 11))
def test_the_error_of_rounding_is_bounded(bits):
    given = np.random.default_rng(bits).uniform(0.01, 60, 5000).astype(np.float16).astype(np.float32)
    assert (np.abs(rounded(given, bits) / given.astype(np.float64) - 1) <= 2.0 ** -(bits + 1)).all()


def test_maps_that_could_take_more_than_a_megabyte_are_refused():
    require_small((10, 7, 7), 1024, 10)  # I3D at 224 pixels, whole
    require_small((10, 7, 7), 2048, 2)  # a ResNet's, rounded
    expected = r"10 x 7 x 7 x 2048 numbers of a clip, of which 10 bits of the fraction are kept, may take 1\.91 MiB"
    with pytest.raises(PipelineError, match=expected):
        require_small((10, 7, 7), 2048, 10)

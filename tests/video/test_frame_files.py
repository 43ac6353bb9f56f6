import pytest

from pipeline.video.frame_files import FrameFiles


def test_names_and_numbers():
    frames = FrameFiles("img_%05d.jpg")
    assert frames.name(7) == "img_00007.jpg"
    assert frames.numbers(["img_00010.jpg", "img_00002.jpg", "img_2.jpg", "img_00003.png", "100000.jpg"]) == [2, 10]
    assert FrameFiles("%d.jpg").numbers(["10.jpg", "9.jpg", "09.jpg"]) == [9, 10]
    assert FrameFiles("%02d.jpg").numbers(["100.jpg", "99.jpg"]) == [99, 100]


@pytest.mark.parametrize(
    ("first", "count", "present", "wanted", "missing"),
    [
        (None, None, [1, 2, 4], range(1, 5), [3]),
        (None, None, [0, 1, 2], range(3), []),
        (None, None, [2, 3], range(1, 4), [1]),
        (None, None, [], range(1, 1), []),
        (None, 3, [1, 2], range(1, 4), [3]),
        (None, 2, [0, 1, 2], range(2), []),
        (5, 3, [1, 5, 7, 8], range(5, 8), [6]),
    ],
)
def test_frames_that_are_missing(first, count, present, wanted, missing):
    frames = FrameFiles("%05d.jpg", first, count)
    assert frames.wanted(present) == wanted
    assert frames.missing(present) == missing


@pytest.mark.parametrize("pattern", ["%05d", "a%d.jpg"])
def test_patterns_of_one_number(pattern):
    assert FrameFiles(pattern).pattern == pattern


@pytest.mark.parametrize("pattern", ["", "frame.jpg", "%s.jpg", "%d_%d.jpg", "a/%d.jpg", "%5d.jpg", "100%"])
def test_other_patterns_are_refused(pattern):
    with pytest.raises(ValueError, match="is no pattern of frames"):
        FrameFiles(pattern)

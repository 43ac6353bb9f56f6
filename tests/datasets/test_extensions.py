import pytest

from pipeline.datasets.extensions import file_stem, without_extension


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("a.mp4", "a"),
        ("a.MP4", "a"),
        ("a.webm.mp4", "a.webm"),
        ("q_1_4.5", "q_1_4.5"),
        ("q_1_4.5.avi", "q_1_4.5"),
        ("Dr. No", "Dr. No"),
        ("sub/x.mkv", "sub/x"),
        (".mp4", ".mp4"),
    ],
)
def test_an_extension_is_a_known_one(name, clip):
    assert file_stem(name) == without_extension(name) == clip


def test_a_number_is_a_part_of_what_annotations_call_a_clip():
    assert without_extension("q_1_4.264") == "q_1_4.264"

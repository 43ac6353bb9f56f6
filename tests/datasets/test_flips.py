import pytest

from pipeline.datasets.flips import flip_map, mirrored_name, without_partner

# Templates of Something-Something (Goyal et al., 2017): all that say left or right, and two that say neither.
SOMETHING = [
    "Pulling something from left to right",
    "Pulling something from right to left",
    "Plugging something into something but pulling it right out as you remove your hand",
    "Turning the camera right while filming something",
    "Pushing something from right to left",
    "Lifting something up completely without letting it drop down",
    "Turning the camera left while filming something",
    "Pushing something from left to right",
    "Turning the camera upwards while filming something",
]


def test_something_something():
    assert flip_map(SOMETHING) == [1, 0, 2, 6, 7, 5, 3, 4, 8]


@pytest.mark.parametrize(
    ("name", "mirrored"),
    [
        ("Swiping Left", "Swiping Right"),
        ("moves_left", "moves_right"),
        ("TurnRight", "TurnLeft"),
        ("LEFT turn", "RIGHT turn"),
        ("drifting leftwards, then right", "drifting rightwards, then left"),
        ("turn 2, clockwise", "turn 2, counterclockwise"),
        ("Turning Hand Clockwise", "Turning Hand Counterclockwise"),
        ("left-handed throw", "right-handed throw"),
        ("brightening", "brightening"),
        ("Cleft", "Cleft"),
        ("copyright", "copyright"),
        ("leftover", "leftover"),
        ("Righting a chair", "Righting a chair"),
    ],
)
def test_words_are_swapped_and_parts_of_other_words_are_not(name, mirrored):
    assert mirrored_name(name) == mirrored
    assert mirrored_name(mirrored) == name


def test_a_direction_without_its_opposite_forbids_mirroring():
    assert flip_map(["moves left", "moves up"]) is None
    assert without_partner(["moves left", "moves up"]) == ["moves left"]
    assert flip_map(["moves left", "Moves  right", "leaves right away", "is left behind"]) == [1, 0, 2, 3]
    assert flip_map([]) == []


@pytest.mark.parametrize("other", ["counterclockwise", "Counter-Clockwise", "anticlockwise", "anti clockwise"])
def test_ways_to_turn(other):
    assert flip_map(["turns clockwise", "stops", f"turns {other}"]) == [2, 1, 0]
    assert flip_map(["stops", f"turns {other}"]) is None

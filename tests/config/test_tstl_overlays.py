"""The groups that TSTL published for Something-Something v2, and the overlays of TSTL."""

import json
from pathlib import Path

import pytest

from pipeline.config.overlays import read_config
from pipeline.recognition.grouping import listed, require_division

ROOT = Path(__file__).parents[2]
NAMES = [f"class {number:03}" for number in range(174)]  # in alphabetical order, as version 2 numbers its own


def merged(name):
    return read_config([ROOT / "config.yaml", ROOT / f"configs/{name}.yaml"])


def test_fifteen_groups_of_eleven_or_twelve_classes_cover_all():
    file = merged("tstl_something_something_v2").groups["published"].file
    groups = listed(json.loads((ROOT / file).read_text(encoding="utf-8")), NAMES)
    require_division(groups, NAMES, "published")
    assert sorted(map(len, groups)) == [11] * 6 + [12] * 9
    # The left-overs of what is otherwise consecutive.
    assert groups[1] == [0, *range(13, 22), 46, 173]
    assert all(group == list(range(group[0], group[-1] + 1)) for group in groups[:1] + groups[2:])


@pytest.mark.parametrize(
    ("name", "tstl", "number"),
    [("tstl", "tstl", 4), ("tstl", "tstl_confused", 4), ("tstl_something_something_v2", "ssv2_tstl", 15)],
)
def test_there_is_an_expert_for_each_group(name, tstl, number):
    config = merged(name)
    routing = config.experiments[tstl]
    parts = [config.experiments[part].part for part in [routing.selector, *routing.experts]]
    assert [part.group for part in parts] == [None, *range(number)]
    assert len({part.groups for part in parts}) == 1


def test_plain_cast_has_the_steps_of_all_parts_together():
    """The experts see each clip once in an epoch between them, and so does the selector."""
    config = merged("tstl")
    plain, part = (config.recognizers[name] for name in ("cast_whole", "cast_part"))
    assert plain.training.epochs == 2 * part.training.epochs
    assert plain == part.model_copy(update={"training": plain.training})
    same = part.training.model_copy(update={"epochs": plain.training.epochs})
    assert plain.training == same
    assert config.experiments["cast_whole"].seeds == config.experiments["tstl"].seeds == [1, 2, 3]

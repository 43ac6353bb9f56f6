"""TSTL's parts must fit together, and what does not is said with its place in the YAML."""

import copy

import pytest
from toys.tiny_tstl import cast_settings

from pipeline.config.mistakes import broken_references
from pipeline.config.routing import unfit_parts


def raw():
    whole = {"kind": "recognition", "dataset": "d", "clipping": "c", "recognizer": "cast", "part": None}
    whole |= {"seeds": [1, 2]}
    cast = cast_settings().model_dump(mode="json")
    return {
        "recognizers": {"cast": cast, "expert": cast | {"drop_path": 0.3}, "other": cast | {"temporal": "other"},
                        "exact": cast | {"training": cast["training"] | {"precision": "bf16"}},
                        "head": {"kind": "probe"}},
        "groups": {"two": {"kind": "consecutive", "number": 2},
                   "told": {"kind": "confusions", "experiment": "cast", "number": 2}},
        "experiments": {
            "cast": whole,
            "selector": whole | {"part": {"groups": "two", "group": None}},
            "e0": whole | {"part": {"groups": "two", "group": 0}, "recognizer": "expert"},
            "e1": whole | {"part": {"groups": "two", "group": 1}, "recognizer": "expert"},
            "tstl": {"kind": "routing", "dataset": "d", "clipping": "c", "selector": "selector",
                     "experts": ["e0", "e1"], "seeds": [1, 2]},
        },
    }  # fmt: skip


def changed(section, name, **values):
    made = copy.deepcopy(raw())
    made[section][name] |= values
    return made


def test_parts_that_fit_are_right():
    assert unfit_parts(raw()) == []


@pytest.mark.parametrize(
    ("section", "name", "values", "message"),
    [
        ("experiments", "tstl", {"selector": "cast"}, "`experiments.tstl.selector: cast`: is no selector: write"),
        ("experiments", "tstl", {"selector": "e0"}, "`experiments.tstl.selector: e0`: is no selector"),
        ("experiments", "tstl", {"experts": ["e1", "e0"]}, "experts.0: e1`: is not the expert of group 0"),
        ("experiments", "tstl", {"experts": ["e0"]}, "1 experts, but `groups.two` are 2: one for each"),
        ("experiments", "tstl", {"experts": ["e0", "e9"]}, "`experiments.tstl.experts.1: e9`: no experiment of kind"),
        ("experiments", "tstl", {"experts": ["e0", "tstl"]}, "experts.1: tstl`: no experiment of kind"),
        ("experiments", "e1", {"seeds": [1]}, r"experts.1: e1`: has `seeds: \[1\]`, and the routing `\[1, 2\]`"),
        ("experiments", "e1", {"dataset": "x"}, "experts.1: e1`: has `dataset: x`, and the routing `d`"),
        ("experiments", "e1", {"part": {"groups": "told", "group": 1}}, "experts.1: e1`: is not the expert of group 1"),
        ("experiments", "e1", {"recognizer": "other"}, "experts.1: e1`: its recognizer has another `temporal`"),
        ("experiments", "e1", {"recognizer": "exact"}, "its recognizer has `training.precision: bf16`, and the select"),
        ("experiments", "e1", {"part": {"groups": "two", "group": 2}}, "e1.part.group: 2`: `groups.two` are 2, num"),
        ("experiments", "e1", {"recognizer": "head"}, "experts.1: e1`: its recognizer head is not of kind cast"),
        ("groups", "two", {"kind": "confusions", "experiment": "e0"}, "`groups.two.experiment: e0`: experiment"),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_are_said(section, name, values, message):
    found = unfit_parts(changed(section, name, **values))
    assert found
    with pytest.raises(ValueError, match=message):
        raise ValueError("; ".join(found))


@pytest.mark.parametrize(("content", "number"), [("[[0], [1], [2]]", 3), ('[["a"]]', 1), ("[[0], [1]]", 2)])
def test_groups_of_a_file_are_counted_before_anything_runs(tmp_path, content, number):
    path = tmp_path / "groups.json"
    made = changed("groups", "two", kind="file", file=str(path))
    del made["groups"]["two"]["number"]
    assert unfit_parts(made) == []  # the file is not there yet
    path.write_text(content)
    expected = (
        [] if number == 2 else [f"`experiments.tstl.experts`: 2 experts, but `groups.two` are {number}: one for each"]
    )
    if number == 1:
        expected = ["`experiments.e1.part.group: 1`: `groups.two` are 1, numbered from 0", *expected]
    assert unfit_parts(made) == expected


@pytest.mark.parametrize("content", ["{", "{}", "\xff"])
def test_a_malformed_file_of_groups_is_left_to_its_stage(tmp_path, content):
    path = tmp_path / "groups.json"
    path.write_bytes(content.encode("latin1"))
    assert unfit_parts(changed("groups", "two", kind="file", file=str(path), number=None)) == []


@pytest.mark.parametrize("dataset", [{"kind": "epic_kitchens"}, {"kind": "labelled_list", "heads": ["verb", "noun"]}])
def test_parts_are_of_data_sets_with_one_head(dataset):
    """Else the run would end in `group_classes`, and the report would ask for scores that no rule makes."""
    found = unfit_parts(raw() | {"datasets": {"d": dataset}})
    assert "`experiments.selector.part`: groups are of the classes of one head, and data set d has several" in found[0]
    assert unfit_parts(raw() | {"datasets": {"d": {"kind": "labelled_list", "heads": ["class"]}}}) == []


@pytest.mark.parametrize("value", [None, 3, "x", [], {}], ids=str)
@pytest.mark.parametrize("name", ["selector", "experts", "part"])
def test_what_is_malformed_breaks_nothing(name, value):
    for experiment in ("tstl", "selector", "e1"):
        broken_references(changed("experiments", experiment, **{name: value}))

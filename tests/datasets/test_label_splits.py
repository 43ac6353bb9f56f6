from pipeline.datasets.label_splits import cut_groups, cut_validation
from pipeline.datasets.labelled import Labelling


def test_a_share_of_each_stratum():
    strata = {f"a{number}": 0 for number in range(20)} | {"b0": 1, "b1": 1, "c0": 2}
    chosen = cut_groups(strata, 0.25)
    assert [name[0] for name in chosen] == ["a"] * 5 + ["b"]
    assert cut_groups(dict(reversed(strata.items())), 0.25) == chosen
    assert [name[0] for name in cut_groups(strata, 0.01)] == ["a", "b"]
    assert [name[0] for name in cut_groups(strata, 0.99)] == ["a"] * 19 + ["b"]


def labelling(*clips):
    found = Labelling({"class": ["x", "y"]})
    for clip, number, split, group in clips:
        found.add(clip, [number], split, "here", group)
    return found


def test_groups_stay_together_and_test_stays():
    clips = [(f"{group}{number}", 0 if group < "e" else 1, "train", group) for group in "abcdefgh" for number in "12"]
    found = labelling(*clips, ("t", 0, "test", "t"))
    cut_validation(found, 0.25)
    moved = {found.groups[clip] for clip, split in found.split_of.items() if split == "val"}
    assert len(moved & set("abcd")) == 1
    assert len(moved & set("efgh")) == 1
    assert all((found.split_of[f"{group}1"] == "val") == (found.split_of[f"{group}2"] == "val") for group in "abcdefgh")
    assert found.split_of["t"] == "test"
    assert found.notes == ["validation is cut from training: 4 of 16 clips, by the 8 groups that they come from"]


def test_groups_of_several_classes_are_cut_as_one():
    found = labelling(*((f"{group}{number}", number, "train", group) for group in "abcd" for number in (0, 1)))
    cut_validation(found, 0.25)
    assert len([split for split in found.split_of.values() if split == "val"]) == 2

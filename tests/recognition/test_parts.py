from pathlib import Path

import pytest

from pipeline.artifact import write_json
from pipeline.artifact.label_index import LabelIndex
from pipeline.config import PartSettings
from pipeline.errors import PipelineError
from pipeline.recognition.groups import Groups, read_groups
from pipeline.recognition.labels import Labels
from pipeline.recognition.parts import Part, labels_of_part, read_part
from pipeline.recognition.split_clips import training_clips, validation_clips

NAMES = ["to the left", "up", "to the right", "down"]
GROUPS = Groups(Path("groups.json"), ["0: to the left, up", "1: to the right, down"], [0, 0, 1, 1])
# Clips a to d of the four classes in both splits; e is of class 0, and in training alone.
OF = {f"{split}_{name}": [number] for split in ("train", "val") for number, name in enumerate("abcd")}
OF |= {"train_e": [0], "test_a": [0], "test_c": [2]}


def labels(**others):
    splits = {split: [i for i in OF if i.startswith(split)] for split in ("train", "val", "test")}
    given = {
        "heads": {"class": NAMES}, "labels": OF, "splits": splits, "missing": ["gone"],
        "annotated": {"train": 6, "val": 4, "test": 2}, "notes": ["a note"],
        "flips": {"class": [2, 1, 0, 3]}, "groups": {},
    }  # fmt: skip
    return Labels(Path("labels.json"), LabelIndex(**given | others))


def clips(part, flip="swap_labels", **others):
    return training_clips(labels(**others), set(OF), None, flip, 1, part)


SELECTOR, EXPERT = Part(GROUPS, None), Part(GROUPS, 0)


def test_a_selector_learns_the_groups_of_all_clips():
    own = labels_of_part(labels(), SELECTOR)
    assert own.heads == {"group": GROUPS.names}
    assert own.split("test") == ["test_a", "test_c"]
    assert own.index.labels["test_c"] == [1]
    found = clips(SELECTOR)
    assert found.ids == ["train_a", "train_b", "train_c", "train_d", "train_e"]
    assert [found.labels_of(number, False) for number in range(5)] == [[0], [0], [1], [1], [0]]


def test_a_mirrored_clip_is_of_the_group_of_its_mirrored_class():
    """Left becomes right, which is of the other group; up stays up."""
    found = clips(SELECTOR)
    assert [found.labels_of(number, True) for number in range(5)] == [[1], [0], [0], [1], [1]]
    assert clips(SELECTOR, flip="keep_labels").labels_of(0, True) == [0]


def test_an_expert_learns_all_classes_from_the_clips_of_its_group():
    own = labels_of_part(labels(), EXPERT)
    assert own.heads == {"class": NAMES}
    assert own.split("test") == ["test_a"]
    assert own.index.annotated == {"train": 3, "val": 2, "test": 1}
    found = clips(EXPERT)
    assert (found.ids, found.labels) == (["train_a", "train_b", "train_e"], [[0], [1], [0]])
    assert validation_clips(labels(), set(OF), EXPERT).ids == ["val_a", "val_b"]


def test_an_expert_tells_a_mirrored_clip_by_its_class_in_the_mirror():
    """Its head has all classes: `to the right` is right, although it is of the other group."""
    assert [clips(EXPERT).labels_of(number, True) for number in range(3)] == [[2], [1], [2]]


def test_the_whole_is_as_it_is():
    assert labels_of_part(whole := labels(), None) is whole
    assert clips(None).labels == [[0], [1], [2], [3], [0]]


def test_one_group_of_all_classes_is_the_whole():
    """A selector of one group has nothing to learn, and is no mistake: all rules of TSTL are then plain CAST."""
    one = Groups(Path("groups.json"), ["all"], [0, 0, 0, 0])
    assert [clips(Part(one, None)).labels_of(number, False) for number in range(5)] == [[0]] * 5
    assert clips(Part(one, 0)) == clips(None)
    assert labels_of_part(labels(), Part(one, 0)).index.splits == labels().index.splits


def test_an_expert_of_clips_of_one_class_is_refused():
    known = {"train_a", "train_c", "train_e"}
    with pytest.raises(PipelineError, match="all 2 training clips have the class to the left"):
        training_clips(labels(), known, None, "none", 1, EXPERT)
    with pytest.raises(PipelineError, match="all 2 training clips have the group 0: to the left, up"):
        training_clips(labels(), {"train_a", "train_e"}, None, "none", 1, SELECTOR)


def test_an_expert_without_a_training_clip_is_refused():
    """All of its clips may have failed since the groups were made."""
    with pytest.raises(PipelineError, match=r"labels\.json: none of the group's training clips has frames"):
        training_clips(labels(), {"train_c", "train_d"}, None, "none", 1, EXPERT)


def test_an_expert_without_a_validation_clip_is_refused():
    with pytest.raises(PipelineError, match="no clip of split 'val' is of group 0"):
        validation_clips(labels(), {"val_c"}, EXPERT)


def write_groups(path, **numbers):
    write_json(path, {"groups": {"class": dict(zip(NAMES, [0, 0, 1, 1], strict=True)) | numbers}, "names": ["a", "b"]})
    return path


def test_a_part_is_of_groups_that_are_there(tmp_path):
    path = write_groups(tmp_path / "groups.json")
    assert read_groups(path, labels()) == Groups(path, ["a", "b"], [0, 0, 1, 1])
    assert read_part(PartSettings(groups="two", group=1), [path], labels()).group == 1
    assert read_part(None, [], labels()) is None
    with pytest.raises(PipelineError, match=r"part: group: 2: .*groups.json has 2 groups, numbered from 0"):
        read_part(PartSettings(groups="two", group=2), [path], labels())


@pytest.mark.parametrize(
    "change",
    [{"heads": {"class": ["other", *NAMES[1:]]}}, {"heads": {"verb": NAMES}}, {"heads": {"a": NAMES, "b": NAMES}}],
)
def test_groups_of_other_classes_are_refused(tmp_path, change):
    path = write_groups(tmp_path / "groups.json")
    with pytest.raises(PipelineError, match=r"these are no groups of the classes in labels.json: run group_classes"):
        read_groups(path, labels(**change))

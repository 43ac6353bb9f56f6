"""Code that data sets share whose clips have labels: the classes, each clip's numbers, and its split.

Labels have heads: most data sets have one, `class`; EPIC-Kitchens has `verb` and `noun`. A clip has one number a head.
Labels may name clips whose files are missing, because published videos vanish: those clips are listed, and no error is
raised.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pipeline.datasets.annotated import shown
from pipeline.datasets.flips import flip_map, without_partner
from pipeline.datasets.near_names import nearest, other_cases
from pipeline.errors import PipelineError, breaks_lines
from pipeline.workflow.paths import CHALLENGE, SPLITS

MAX_NAME = 300  # characters of a class's name; it stands in tables and pages
NUM_SHOWN = 3  # clips whose names differ in case alone, which a note spells out
HEAD = "class"  # the head of data sets that have one


@dataclass
class Labelling:
    """The labels and splits of all annotated clips, whether a clip's file is there or not.

    Attributes:
        heads: Names of the classes of each head, in the order of their numbers.
        labels: Numbers of each clip's classes, one a head in the order of `heads`.
        split_of: Split of each clip that has one.
        unlabelled: Clips that are in a split and have no label, as test clips of a challenge.
        groups: What a clip was cut from, such as a long video, for each clip of which this is known.
        notes: Messages that the user should read.
        are_named: Whether the names of the classes are words, and not their numbers for want of words.
        may_mirror: Whether a clip that is mirrored is still one of this data set; false for digits.
    """

    heads: dict[str, list[str]]
    labels: dict[str, list[int]] = field(default_factory=dict)
    split_of: dict[str, str] = field(default_factory=dict)
    unlabelled: set[str] = field(default_factory=set)
    groups: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    are_named: bool = True
    may_mirror: bool = True

    def add(
        self, clip: str, numbers: Sequence[int] | None, split: str | None, place: str, group: str | None = None
    ) -> None:
        """Add a clip with its numbers, one a head; None for a clip without labels.

        Raises:
            PipelineError: if a number is no class, or the clip has another label or split already.
        """
        if split is not None and self.split_of.setdefault(clip, split) != split:
            raise PipelineError(
                f"{place}: {clip} is in split {split} here and in {self.split_of[clip]} before: keep it in one"
            )
        if group is not None:
            self.groups[clip] = group
        if numbers is None:
            self.unlabelled.add(clip)
            return
        for (head, names), number in zip(self.heads.items(), numbers, strict=True):
            if not 0 <= number < len(names):
                raise PipelineError(
                    f"{place}: the {head} of {clip} is {number}: expected 0 to {len(names) - 1}, for there are "
                    f"{len(names)} classes"
                )
        first = self.labels.setdefault(clip, list(numbers))
        if first != list(numbers):
            here, before = (self._named(label) for label in (numbers, first))
            raise PipelineError(f"{place}: {clip} is {here} here and {before} before: a clip has one label")

    def _named(self, numbers: Sequence[int]) -> str:
        return " and ".join(names[number] for names, number in zip(self.heads.values(), numbers, strict=True))


@dataclass(frozen=True)
class FoundLabels:
    """The labels of the clips whose files are there, and which labelled clips have no file.

    Attributes:
        heads: Names of the classes of each head, in the order of their numbers; the heads are sorted by name, because
            JSON artifacts are.
        labels: Numbers of the classes of each clip that has a file, one a head in that order.
        splits: Sorted ids of the clips of each split that have a label and a file; and of a challenge, if the data set
            has one, those that have a file.
        missing: Sorted ids of the clips that have a label and no file.
        annotated: Number of labelled clips in each split, or of all of a challenge, with or without a file.
        notes: Messages that the user should read.
        flips: For each head the class that each class becomes when its clips are mirrored; None where they must not be.
        groups: What a clip was cut from, for each clip of which this is known and that has a label and a file.
    """

    heads: dict[str, list[str]]
    labels: dict[str, list[int]]
    splits: dict[str, list[str]]
    missing: list[str]
    annotated: dict[str, int]
    notes: list[str]
    flips: dict[str, list[int] | None]
    groups: dict[str, str]


def find_labels(labelling: Labelling, ids: Collection[str], files: Collection[str] = ()) -> FoundLabels:
    """Part the labelled clips into those whose files are there and those whose files are missing.

    Args:
        labelling: Labels and splits of the data set.
        ids: The ids of all the clips that are there.
        files: Paths of the files of labels, for messages.

    Raises:
        PipelineError: if there are no labels or all are of one class, classes share a name, or no labelled clip is
            there.
    """
    labels, present = labelling.labels, set(ids)
    read = f"{shown(files)}: " if files else ""
    if not labels:
        raise PipelineError(f"{read}no clip has a label")
    for number, (head, names) in enumerate(labelling.heads.items()):
        _check_names(head, names, read)
        used = {numbers[number] for numbers in labels.values()}
        if len(used) == 1:
            raise PipelineError(
                f"{read}all {len(labels)} labelled clips are of one {head}, {names[used.pop()]!r}: two classes are the "
                "least that can be told apart"
            )
    cases = other_cases(labels, present)
    cased = ", ".join(f"{clip} ({known})" for clip, known in list(cases.items())[:NUM_SHOWN])
    told = f"{len(cases)} labelled clips differ from a file's name in upper and lower case alone: {cased}"
    if not present & labels.keys():
        raise PipelineError(
            f"{read}no labelled clip has a file: the labels tell of {shown(labels)}, the files are "
            f"{shown(sorted(present))}{f'; {told}' if cases else ''}"
        )
    members: dict[str, list[str]] = {split: [] for split in SPLITS}
    for clip in sorted(labels):
        if clip in labelling.split_of:
            members[labelling.split_of[clip]].append(clip)
    annotated = {split: len(clips) for split, clips in members.items()}
    if challenge := sorted(clip for clip, split in labelling.split_of.items() if split == CHALLENGE):
        members[CHALLENGE], annotated[CHALLENGE] = challenge, len(challenge)
    flips, flip_notes = _flips(labelling)
    heads = sorted(labelling.heads)
    places = [list(labelling.heads).index(head) for head in heads]
    return FoundLabels(
        heads={head: labelling.heads[head] for head in heads},
        labels={clip: [of[place] for place in places] for clip, of in labels.items() if clip in present},
        splits={split: [clip for clip in clips if clip in present] for split, clips in members.items()},
        missing=sorted(labels.keys() - present),
        annotated=annotated,
        notes=[*labelling.notes, *_notes(labelling), *flip_notes, *([told] if cases else [])],
        flips=flips,
        groups={clip: group for clip, group in labelling.groups.items() if clip in labels and clip in present},
    )


def _check_names(head: str, names: Sequence[str], read: str) -> None:
    for name in names:
        if not name.strip() or breaks_lines(name) or len(name) > MAX_NAME:
            raise PipelineError(
                f"{read}{name!r:.60} is no name of a class of {head}: expected a text on one line, of at most "
                f"{MAX_NAME} characters"
            )
    for name, following in pairwise(sorted(names)):
        if name == following:
            raise PipelineError(f"{read}two classes of {head} are called {name!r}: give each a name of its own")


def _notes(labelling: Labelling) -> Iterator[str]:
    told = labelling.labels.keys() | {clip for clip, split in labelling.split_of.items() if split == CHALLENGE}
    silent = sorted(labelling.unlabelled - told)
    if silent:
        yield f"in a split, but without labels: {shown(silent)}"
    free = sorted(labelling.labels.keys() - labelling.split_of.keys())
    if free:
        yield f"with labels, but in no split: {shown(free)}"
    for number, (head, names) in enumerate(labelling.heads.items()):
        counted = {split: Counter[int]() for split in SPLITS}
        for clip, split in labelling.split_of.items():
            if clip in labelling.labels:
                counted[split][labelling.labels[clip][number]] += 1
        for split in ("val", "test"):
            strangers = [names[label] for label in sorted(counted[split]) if not counted["train"][label]]
            if strangers and counted["train"]:
                yield f"{head}: in {split}, but not in train, where nothing is learned of them: {shown(strangers)}"


def _flips(labelling: Labelling) -> tuple[dict[str, list[int] | None], list[str]]:
    """The flip map of each head, and notes where there is none."""
    flips: dict[str, list[int] | None] = {}
    notes = []
    for head, names in labelling.heads.items():
        flips[head] = flip_map(names) if labelling.are_named and labelling.may_mirror else None
        if not labelling.are_named:
            notes.append(f"{head}: the classes have no names, so clips are not mirrored: name a file of `classes`")
        elif labelling.may_mirror and flips[head] is None:
            lonely = shown(without_partner(names))
            notes.append(f"{head}: clips are not mirrored, because there is no class that mirrors {lonely}")
    return flips, notes


def class_number(name: str, numbers: Mapping[str, int], place: str, names_in: str) -> int:
    """Number of a class by its name.

    Args:
        name: The name.
        numbers: The numbers of all classes by their names.
        place: Where the name stands, for the message.
        names_in: The file that names the classes, for the message.

    Raises:
        PipelineError: if there is no such class.
    """
    if name not in numbers:
        near = nearest(name, numbers)
        meant = f": did you mean {near!r}?" if near else ""
        raise PipelineError(f"{place}: the class {name!r:.200} is not among the {len(numbers)} of {names_in}{meant}")
    return numbers[name]

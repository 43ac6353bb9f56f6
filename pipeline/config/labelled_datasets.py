"""Settings of data sets whose clips have labels, in the forms in which action recognition publishes them."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.types import NAME, Count, Settings

Part = Annotated[float, Field(gt=0, lt=1)]  # of the training clips, or of what they were cut from
Head = Annotated[str, Field(pattern=NAME)]
FramePattern = Annotated[str, Field(pattern=r"^[^/\\%]*%(0[1-9][0-9]?)?d[^/\\%]*$")]  # one number: `img_%05d.jpg`


class SomethingSplits(Settings):
    """Which published split is for what; val may be a part of training, so that no model is chosen by its tests."""

    val: Literal["validation"] | Part
    test: Literal["validation", "answers"] | None

    @model_validator(mode="after")
    def _not_twice(self) -> Self:
        if self.val == self.test:
            raise ValueError("`val` and `test` are one split: write a share for `val`, which is cut from training")
        return self


class SomethingSomethingSettings(Settings):
    """Something-Something, version 1 (folders of frames) or 2 (videos), with the annotation files in one folder."""

    kind: Literal["something_something"]
    shards: Count
    version: Literal[1, 2]
    videos: Path
    annotations: Path
    label_order: Literal["file", "alphabetical"]
    splits: SomethingSplits

    @model_validator(mode="after")
    def _version_2_has_answers(self) -> Self:
        if self.version == 1 and self.splits.test == "answers":
            raise ValueError("version 1 has no published answers for its test split: write `test: validation` or null")
        return self


class AnnotationFiles(Settings):
    """A file for each split; val may be a part that is cut from training instead, and test may have none."""

    train: Path
    val: Path | Part
    test: Path | None


class EpicAnnotationFiles(AnnotationFiles):
    """The same of EPIC-Kitchens, and perhaps the clips of its challenge, which have no labels."""

    challenge: Path | None


class LabelledListSettings(Settings):
    """Any videos, or folders of frames, with lists of `path label`, `folder num_frames label` or `path,verb,noun`."""

    kind: Literal["labelled_list"]
    shards: Count
    videos: Path
    annotations: AnnotationFiles
    separator: Literal["space", "comma", "semicolon", "tab"]
    heads: Annotated[list[Head], Field(min_length=1)]
    first_label: Literal[0, 1]
    classes: dict[Head, Path] | None
    frames: FramePattern | None

    @model_validator(mode="after")
    def _heads_are_heads(self) -> Self:
        if len(set(self.heads)) < len(self.heads):
            raise ValueError("a head may stand in `heads` once")
        if self.classes is not None and set(self.classes) != set(self.heads):
            raise ValueError(f"`classes` must name a file for each of {', '.join(self.heads)}, or be null")
        return self


class Ucf101Settings(Settings):
    """UCF101: one of its three splits, with validation cut from training by the group that clips come from.

    The three have the same videos, which `decoded_as` lets them share.
    """

    kind: Literal["ucf101"]
    shards: Count
    videos: Path
    annotations: Path
    split: Literal[1, 2, 3]
    decoded_as: str | None
    val: Part


class Hmdb51Settings(Settings):
    """HMDB51: one of its three splits, with validation cut from training by the film that clips come from.

    The three have the same videos, which `decoded_as` lets them share.
    """

    kind: Literal["hmdb51"]
    shards: Count
    videos: Path
    annotations: Path
    split: Literal[1, 2, 3]
    decoded_as: str | None
    val: Part


class KineticsSettings(Settings):
    """Kinetics-400, -600 or -700, with a CSV file for each split; classes in alphabetical order or that of a file."""

    kind: Literal["kinetics"]
    shards: Count
    videos: Path
    annotations: AnnotationFiles
    classes: Path | None


class VerbNounFiles(Settings):
    """Files of EPIC-Kitchens, one of verbs and one of nouns."""

    verb: Path
    noun: Path


class UnseenFiles(Settings):
    """Files of the participants of whom training has no video, one for each split that has such."""

    val: Path | None
    test: Path | None


class EpicKitchensSettings(Settings):
    """EPIC-Kitchens-100: intervals of long videos, or runs of frames, with verbs and nouns.

    Rare classes (`tail`) and `unseen` participants have scores of their own.
    """

    kind: Literal["epic_kitchens"]
    shards: Count
    videos: Path
    annotations: EpicAnnotationFiles
    classes: VerbNounFiles
    tail: VerbNounFiles | None
    unseen: UnseenFiles | None
    frames: FramePattern | None


class ClipForm(Settings):
    """What `index_videos` must know to find the clips of labelled data sets: no more, so that little re-runs it."""

    frames: FramePattern | None
    separator: Literal["space", "comma", "semicolon", "tab"] | None
    num_labels: Count | None

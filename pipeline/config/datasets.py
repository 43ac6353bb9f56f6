"""Settings of data sets and of the sampling of frames."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from pipeline.config.labelled_datasets import (
    EpicKitchensSettings,
    Hmdb51Settings,
    KineticsSettings,
    LabelledListSettings,
    SomethingSomethingSettings,
    Ucf101Settings,
)
from pipeline.config.mistakes import suggest
from pipeline.config.types import Count, Positive, Settings, Share

# The generator of `shapes` can draw and name these; `pipeline.datasets.shapes.captions` has the words for each.
COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "white", "black", "cyan")
SHAPES = ("circle", "square", "triangle", "star", "cross", "diamond", "ring", "crescent")
ACTIONS = (
    "moves left",
    "moves right",
    "moves up",
    "moves down",
    "grows",
    "shrinks",
    "bounces",
    "circles",
    "stops half-way",
    "zigzags",
    "turns back",
    "pulses",
    "blinks",
    "stays still",
)


class Clips(Settings):
    """Number of generated clips in each split."""

    train: Count
    val: Count
    test: Count


def _one_of(names: Iterable[str]) -> AfterValidator:
    known = sorted(names)

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"the generator has none of this name{suggest(name, known)}")
        return name

    return AfterValidator(check)


class ShapesSettings(Settings):
    """Generated videos of moving shapes, with captions and the truth about every frame."""

    kind: Literal["shapes"]
    shards: Count
    seed: int
    clips: Clips
    colours: Annotated[list[Annotated[str, _one_of(COLOURS)]], Field(min_length=1)]
    shapes: Annotated[list[Annotated[str, _one_of(SHAPES)]], Field(min_length=1)]
    actions: Annotated[list[Annotated[str, _one_of(ACTIONS)]], Field(min_length=1)]
    two_objects: Share
    held_out_pairs: Annotated[int, Field(ge=0)]
    captions: Count
    short_sides: Annotated[list[Annotated[int, Field(ge=16)]], Field(min_length=1)]
    aspects: Annotated[list[Annotated[str, Field(pattern=r"^[1-9]\d*:[1-9]\d*$")]], Field(min_length=1)]
    fps: Annotated[list[Positive], Field(min_length=1)]
    seconds: tuple[Positive, Positive]
    noise: Annotated[float, Field(ge=0)]
    webm: Share
    avi: Share

    @model_validator(mode="after")
    def _ranges_are_ranges(self) -> Self:
        if self.seconds[0] > self.seconds[1]:
            raise ValueError("`seconds` is shortest, then longest: write the smaller number first")
        if self.webm + self.avi > 1:
            raise ValueError("`webm` and `avi` are shares of all the clips: together at most 1")
        return self


class GlyphFiles(Settings):
    """Images of digits and their labels, as MNIST is published (IDX, also gzipped)."""

    images: Path
    labels: Path


class IdxGlyphs(Settings):
    """Real digits: `train` has those of the clips for training and, in its last sixth, for validation."""

    train: GlyphFiles
    test: GlyphFiles


class SyncMnistSettings(Settings):
    """Generated clips of digits that wander on black: the class tells which of them move alike (SyncMNIST)."""

    kind: Literal["sync_mnist"]
    shards: Count
    seed: Annotated[int, Field(ge=0, lt=2**64)]
    clips: Clips
    digits: Count
    classes: Annotated[int, Field(ge=2, le=10)]
    synchronous: Literal["pair", "subset"]
    repeated_classes: bool
    none_share: Share
    inclusive_upper: bool
    canvas: Annotated[int, Field(gt=28)]
    size: Count
    frames: Count
    max_step: Count
    glyphs: Annotated[
        Annotated[Literal["procedural"], Tag("a word")] | Annotated[IdxGlyphs, Tag("files")],
        Discriminator(lambda value: "files" if isinstance(value, dict | IdxGlyphs) else "a word"),
    ]

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Self:
        if not self.repeated_classes and self.digits > self.classes:
            raise ValueError(f"`digits` is {self.digits} and `classes` {self.classes}: give as many classes as digits")
        if self.repeated_classes and self.synchronous == "pair":
            raise ValueError("`repeated_classes: true` goes with `synchronous: subset`: a pair has no class of its own")
        if self.digits == 1 and self.none_share > 0:
            raise ValueError("`digits: 1` goes with `none_share: 0.0`: a digit alone is labelled by its own class")
        return self


class Splits(Settings):
    """Share of each split among the captioned videos, where the captions file names no splits.

    The hash of a video's id decides which split it is in; for a clip of a file, the hash of the file's path does.
    """

    train: Share
    val: Share
    test: Share

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        if abs(self.train + self.val + self.test - 1) > 1e-6:
            raise ValueError("the shares of train, val and test must sum to 1")
        return self


class SplitLists(Settings):
    """One file for each split; `test` may have none."""

    train: Path
    val: Path
    test: Path | None


class FolderSettings(Settings):
    """The user's own videos, from a folder, a list of files or a table of clips, perhaps with captions and labels.

    `labels` is a table of videos and labels, or `folders`, where a video's folder is called as its class is.
    """

    kind: Literal["folder"]
    shards: Count
    videos: Path
    captions: Path | None
    labels: Literal["folders"] | Path | None
    splits: Splits

    @model_validator(mode="before")
    @classmethod
    def _no_labels_unless_said(cls, raw: Any) -> Any:
        return {"labels": None, **raw} if isinstance(raw, dict) else raw


class MsvdSettings(Settings):
    """MSVD: 1,970 clips named VideoID_Start_End, with the captions of the MSR Video Description Corpus."""

    kind: Literal["msvd"]
    shards: Count
    videos: Path
    mapping: Path | None
    captions: Path | Annotated[list[Path], Field(min_length=1)]
    splits: SplitLists | Literal["position"]


class MsrvttSettings(Settings):
    """MSR-VTT: 10,000 clips with 20 captions each."""

    kind: Literal["msrvtt"]
    shards: Count
    videos: Path
    captions: Path | Annotated[list[Path], Field(min_length=1)]
    splits: SplitLists | Literal["position", "file"]


class VatexSettings(Settings):
    """VATEX: clips with ten English and ten Chinese captions each, in one JSON file for each split."""

    kind: Literal["vatex"]
    shards: Count
    videos: Path
    captions: SplitLists
    language: Literal["en", "zh"]

    @model_validator(mode="before")
    @classmethod
    def _english_unless_said(cls, raw: Any) -> Any:
        return {"language": "en", **raw} if isinstance(raw, dict) else raw


class CocoCaptionsSettings(Settings):
    """Any videos with captions in the JSON form of COCO, in one file for each split or one of Karpathy's."""

    kind: Literal["coco_captions"]
    shards: Count
    videos: Path
    captions: SplitLists | Path


class DenseCaptionsSettings(Settings):
    """Long videos with sentences about intervals, which are the clips; a file for each split or one that names them."""

    kind: Literal["dense_captions"]
    shards: Count
    videos: Path
    captions: SplitLists | Path


DatasetSettings = Annotated[
    ShapesSettings
    | SyncMnistSettings
    | FolderSettings
    | MsvdSettings
    | MsrvttSettings
    | VatexSettings
    | CocoCaptionsSettings
    | DenseCaptionsSettings
    | SomethingSomethingSettings
    | LabelledListSettings
    | Ucf101Settings
    | Hmdb51Settings
    | KineticsSettings
    | EpicKitchensSettings,
    Field(discriminator="kind"),
]


class SamplingSettings(Settings):
    """Which frames of a clip are sampled, at what size they are stored, and what is done about a bad video."""

    fps: Positive
    max_frames: Count
    short_side: Count
    window: Annotated[int, Field(ge=9)]
    time_limit: Positive
    on_bad_video: Literal["record", "fail"]

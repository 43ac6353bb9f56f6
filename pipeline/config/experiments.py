"""Settings of experiments: what is trained on which data set, and how often.

Every kind of experiment has `kind`, `dataset` and `seeds`.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from pipeline.config.types import Seeds, Settings
from pipeline.vocabulary import Tokenizer

# Forms of files of captions that other systems write; `pipeline.datasets.prediction_forms` has an example of each.
PredictionForm = Literal[
    "auto", "results", "lmms_eval", "mapping", "challenge", "cocap", "vlmevalkit", "swinbert", "lines"
]

CAPTIONING = ("captioning", "map_captioning")  # kinds of experiments that learn captions
CAPTIONED = (*CAPTIONING, "external")  # kinds of experiments whose captions are scored, whoever made them


class CaptioningSettings(Settings):
    """A captioner trained on the graphs of a data set, once for each seed."""

    kind: Literal["captioning"]
    dataset: str
    graph: str
    objects: str | None
    knowledge: str | None
    captioner: str
    vocabulary: str
    seeds: Seeds


class MapCaptioningSettings(Settings):
    """A captioner trained on the maps of a data set, once for each seed."""

    kind: Literal["map_captioning"]
    dataset: str
    maps: str
    captioner: str
    vocabulary: str
    seeds: Seeds


class PartSettings(Settings):
    """What a part of TSTL learns: the groups of the classes (a selector), or the clips of one group (an expert)."""

    groups: str
    group: Annotated[int, Field(ge=0)] | None


class RecognitionSettings(Settings):
    """A recognizer trained on the labelled clips of a data set, once for each seed."""

    kind: Literal["recognition"]
    dataset: str
    clipping: str
    recognizer: str
    part: PartSettings | None
    seeds: Seeds


class RoutingSettings(Settings):
    """TSTL: a selector that chooses the expert of a group; both are experiments of their own, with the same seeds."""

    kind: Literal["routing"]
    dataset: str
    clipping: str
    selector: str
    experts: Annotated[list[str], Field(min_length=1)]
    seeds: Seeds


class ScoredFiles(Settings):
    """A file for each split that is scored; null where there is none."""

    val: Path | None
    test: Path | None

    @model_validator(mode="after")
    def _names_any(self) -> Self:
        if self.val is None and self.test is None:
            raise ValueError("`val` and `test` are both null: name the file of one of them")
        return self


# A path in which `*` stands for the name of the split, or without it one file for all splits; or a file for each.
OwnFiles = Annotated[
    Annotated[Path, Tag("a path")] | Annotated[ScoredFiles, Tag("a file for each split")],
    Discriminator(lambda value: "a file for each split" if isinstance(value, dict | ScoredFiles) else "a path"),
]
Told = Annotated[str, Field(min_length=1)]  # plain words, which the report shows


class ImportSettings(Settings):
    """How a file of captions of another system is read, and how its captions are split into words."""

    form: PredictionForm
    tokenizer: Tokenizer


class ExternalSettings(ImportSettings):
    """Captions that another system has made of a data set, which are imported and scored as all others are.

    `ids` are lists of the videos' ids for files that name no videos. `system`, `trained_on`, `prompt` and `source` are
    words for the report, as is `optimises_cider`: whether the system was trained on the score itself (SCST).
    """

    kind: Literal["external"]
    dataset: str
    captions: OwnFiles
    ids: OwnFiles | None
    system: Told
    trained_on: Told
    adaptation: Literal["zero-shot", "fine-tuned"]
    prompt: Told | None
    optimises_cider: bool
    source: Told
    seeds: Annotated[Seeds, Field(max_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _one_run_unless_said(cls, raw: Any) -> Any:
        return {"seeds": [0], **raw} if isinstance(raw, dict) else raw

    @model_validator(mode="after")
    def _lines_have_ids(self) -> Self:
        if self.form == "lines" and self.ids is None:
            raise ValueError("`form: lines` names no videos: give `ids`, a list of them in the order of the lines")
        return self


ExperimentSettings = Annotated[
    CaptioningSettings | ExternalSettings | MapCaptioningSettings | RecognitionSettings | RoutingSettings,
    Field(discriminator="kind"),
]

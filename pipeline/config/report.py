"""Settings of the report: what it compares and shows, and what others have published."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from pipeline.config.types import Count, Settings

Percent = Annotated[float, Field(ge=0, le=100)]
# CIDEr in hundredths, as papers print it, has no other bound than 1000.
Hundredths = Annotated[float, Field(ge=0, le=1000)]
CaptionMetric = Literal["Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "METEOR", "ROUGE_L", "CIDEr"]


class PublishedSettings(Settings):
    """Accuracies in percent that others have published, which the report shows beside those of a data set."""

    dataset: str
    system: str
    top1: Percent
    top5: Percent | None
    source: str


class PublishedCaptionsSettings(Settings):
    """Caption metrics that others have published, in hundredths as papers print them.

    `optimises_cider` tells of a system that was trained on the score itself (SCST).
    """

    dataset: str
    system: str
    metrics: Annotated[dict[CaptionMetric, Hundredths], Field(min_length=1)]
    optimises_cider: bool
    source: str


def _kind_of_published(value: Any) -> str:
    of_captions = isinstance(value, PublishedCaptionsSettings) or (isinstance(value, dict) and "metrics" in value)
    return "captions" if of_captions else "accuracies"


Published = Annotated[
    Annotated[PublishedSettings, Tag("accuracies")] | Annotated[PublishedCaptionsSettings, Tag("captions")],
    Discriminator(_kind_of_published),
]


class ClipScoresSettings(Settings):
    """The encoder and the sampled frames by which captions are scored without references, and which scores these are.

    `metric` says as what the first two scores are given: PAC-S is CLIPScore by weights that were fine-tuned for it, and
    with another factor.
    """

    encoder: str
    sampling: str
    metric: Literal["clip_score", "pac_s"]


class ReportSettings(Settings):
    """Which experiments the report page compares, and how much it shows."""

    experiments: Annotated[list[str], Field(min_length=1)]
    videos: Annotated[int, Field(ge=0)]
    resamples: Count
    akg: bool
    clip_scores: ClipScoresSettings | None
    published: list[Published]
    explanations: list[str]

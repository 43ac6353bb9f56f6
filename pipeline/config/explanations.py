"""Settings of explanations: which captions of an experiment are explained, word by word, and by which method."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline.config.raw_entries import raw_entries
from pipeline.config.types import Count, Settings

MapMethod = Literal["grad_cam", "grad_cam_plus_plus", "smooth_grad_cam_plus_plus", "score_cam"]
GraphMethod = Literal["integrated_gradients", "occlusion"]
# For each kind of experiments whose captions can be explained, the methods that fit what its captioner reads.
METHODS = {
    "captioning": ("integrated_gradients", "occlusion"),
    "map_captioning": ("grad_cam", "grad_cam_plus_plus", "smooth_grad_cam_plus_plus", "score_cam"),
}


class RelevanceSettings(Settings):
    """How captions are explained.

    Attributes:
        method: How relevance is computed; which methods there are depends on the experiment's kind.
        videos: How many videos of the split are explained, drawn at random; null for all.
        seed: Of the videos that are drawn, of random weights and of regions that are removed at random.
    """

    method: MapMethod | GraphMethod
    videos: Count | None
    seed: Annotated[int, Field(ge=0)]


class ExplanationSettings(RelevanceSettings):
    """The relevance of regions for every word of the captions of some videos, by an experiment's first trial.

    Attributes:
        experiment: An experiment of kind captioning or map_captioning.
        split: The split whose captions are explained.
        overlays: How many of the explained videos are drawn as pictures and films.
    """

    experiment: str
    split: Literal["train", "val", "test"]
    overlays: Annotated[int, Field(ge=0)]


def unfit_explanations(raw: Mapping[str, Any]) -> list[str]:
    """Report methods that do not fit an experiment's kind, and explanations in the report that there are not.

    Names of no experiment are reported as all broken references are.

    Args:
        raw: The configuration, with entries that are written out.
    """
    explanations, experiments = raw_entries(raw, "explanations"), raw_entries(raw, "experiments")
    mistakes = []
    for name, entry in explanations.items():
        kind, method = experiments.get(str(entry.get("experiment")), {}).get("kind"), entry.get("method")
        known = [one for of in METHODS.values() for one in of]
        if kind in METHODS and method in known and method not in METHODS[kind]:
            fitting = " or ".join(METHODS[kind])
            mistakes.append(
                f"`explanations.{name}.method: {method}`: experiment {entry['experiment']} is of kind {kind}: write "
                f"{fitting}"
            )
    report = raw.get("report")
    shown = report.get("explanations") if isinstance(report, Mapping) else None
    for name in shown if isinstance(shown, list) else []:
        if isinstance(name, str) and name not in explanations and isinstance(raw.get("explanations"), Mapping):
            told = ", ".join(explanations) or "none"
            mistakes.append(f"`report.explanations: {name}`: no such entry in `explanations`: there is {told}")
    return mistakes

"""Say what is wrong with the encoder and the frames by which the report scores captions without references."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from pipeline.config.experiments import CAPTIONED


def unfit_clip_scores(raw: Mapping[str, Any]) -> list[str]:
    """Report names of no encoder or sampling, an encoder that learns what it is to judge, and PAC-S by other weights.

    Args:
        raw: The configuration, with entries that are written out.
    """
    chosen = _entry(raw, "report").get("clip_scores")
    if not isinstance(chosen, Mapping):
        return []
    encoder, sampling = chosen.get("encoder"), chosen.get("sampling")
    own = _entry(_entry(raw, "encoders"), encoder)
    mistakes = []
    if own.get("kind") != "clip4clip":
        fitting = [str(name) for name, of in _entry(raw, "encoders").items() if _kind_of(of) == "clip4clip"]
        told = ", ".join(fitting) or "there is none"
        mistakes.append(f"`report.clip_scores.encoder: {encoder}`: must be an encoder of kind clip4clip: {told}")
    if isinstance(sampling, str) and sampling not in _entry(raw, "samplings"):
        known = ", ".join(map(str, _entry(raw, "samplings"))) or "none"
        mistakes.append(f"`report.clip_scores.sampling: {sampling}`: no such entry in `samplings`: there is {known}")
    learned = _entry(own, "finetune").get("dataset")
    if learned is not None and learned in _judged(raw):
        mistakes.append(
            f"`report.clip_scores.encoder: {encoder}`: it is fine-tuned on the captions of {learned}, which it is to "
            "judge: name an encoder that does not know them (`finetune: null`)"
        )
    if chosen.get("metric") == "pac_s" and own.get("kind") == "clip4clip" and not _brought(own):
        mistakes.append(
            f"`report.clip_scores.metric: pac_s`: PAC-S is the judgement of weights that its authors fine-tuned: name "
            f"their file in `encoders.{encoder}.weights`, with `finetune: null`, or write `metric: clip_score`"
        )
    return mistakes


def _brought(encoder: Mapping[str, Any]) -> bool:
    """Whether an encoder has the weights of a file as they are, and no others: open_clip has none for PAC-S."""
    weights = encoder.get("weights")
    is_file = not isinstance(weights, str) or "/" in weights or PurePath(weights).suffix != ""
    return is_file and encoder.get("finetune") is None


def _judged(raw: Mapping[str, Any]) -> set[Any]:
    """The data sets whose captions the experiments of the report make or bring."""
    named = _entry(raw, "report").get("experiments")
    entries = [_entry(_entry(raw, "experiments"), name) for name in (named if isinstance(named, list) else [])]
    return {entry.get("dataset") for entry in entries if entry.get("kind") in CAPTIONED}


def _kind_of(entry: Any) -> Any:
    return entry.get("kind") if isinstance(entry, Mapping) else None


def _entry(of: Mapping[str, Any], key: Any) -> Mapping[str, Any]:
    """A mapping inside a mapping; an empty one where there is something else, which is reported elsewhere."""
    found = of.get(key) if isinstance(key, str) else None
    return found if isinstance(found, Mapping) else {}

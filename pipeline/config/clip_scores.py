"""Say what is wrong with the encoder and the frames by which the report scores captions without references."""

from collections.abc import Mapping
from typing import Any

from pipeline.config.experiments import CAPTIONED


def unfit_clip_scores(raw: Mapping[str, Any]) -> list[str]:
    """Report names of no encoder or sampling, and an encoder that is trained on captions that it is to judge.

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
    return mistakes


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

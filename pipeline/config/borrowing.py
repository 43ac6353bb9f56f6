"""Say which entries borrow from others what those do not have: decoded clips of other videos, motion of no CAST."""

from collections.abc import Mapping
from typing import Any

from pipeline.config.raw_entries import raw_entries

Entry = Mapping[str, Any]


def borrowed_of_others(raw: Mapping[str, Any]) -> list[str]:
    """Describe such mistakes; names that stand for no entry are described elsewhere.

    Args:
        raw: The configuration.
    """
    return _decoded_otherwise(raw) + _of_other_recognizers(raw) + _boxes_without_i3d(raw)


def _decoded_otherwise(raw: Mapping[str, Any]) -> list[str]:
    """Report data sets that are to share the decoded clips of one that has other videos, or none of its own."""
    mistakes = []
    for name, settings in raw_entries(raw, "datasets").items():
        other = settings.get("decoded_as")
        named = _entry(raw, "datasets", other)
        if not named:
            continue
        place = f"`datasets.{name}.decoded_as: {other}`"
        unlike = [key for key in ("videos", "shards") if settings.get(key) != named.get(key)]
        if named.get("decoded_as") is not None:
            mistakes.append(f"{place}: it has no decoded clips of its own: name {named['decoded_as']}, as it does")
        elif unlike:
            mistakes.append(f"{place}: it must have the same {' and '.join(f'`{key}`' for key in unlike)}")
    return mistakes


def _of_other_recognizers(raw: Mapping[str, Any]) -> list[str]:
    """Report encoders that are a recognizer of one kind, whose experiment trains one of another kind."""
    mistakes = []
    for name, settings in raw_entries(raw, "encoders").items():
        wanted = {"cast": "cast", "recognizer": "convolutional"}.get(str(settings.get("kind")))
        experiment = _entry(raw, "experiments", settings.get("experiment"))
        kind = _entry(raw, "recognizers", experiment.get("recognizer")).get("kind", wanted)
        if wanted is not None and kind != wanted:
            mistakes.append(
                f"`encoders.{name}.experiment: {settings['experiment']}`: its recognizer is of kind {kind}: name an "
                f"experiment that trains one of kind {wanted}"
            )
    return mistakes


def _boxes_without_i3d(raw: Mapping[str, Any]) -> list[str]:
    """Report graphs that are to have motion of boxes, which only I3D makes, by another encoder."""
    return [
        f"`graphs.{name}.motion_of: union_box`: motion of boxes is I3D's, and encoder {graph['motion']} is of kind "
        "cast: write frame"
        for name, graph in raw_entries(raw, "graphs").items()
        if graph.get("motion_of") == "union_box" and _entry(raw, "encoders", graph.get("motion")).get("kind") == "cast"
    ]


def _entry(raw: Mapping[str, Any], section: str, name: Any) -> Entry:
    """An entry by its name; nothing where there is none."""
    return raw_entries(raw, section).get(name, {}) if isinstance(name, str) else {}

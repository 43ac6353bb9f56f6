"""Say what is wrong with the parts of TSTL in a configuration: groups, a selector and experts that do not fit."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.config.groups import number_listed
from pipeline.config.raw_entries import raw_entries

ALIKE = ("dataset", "clipping", "seeds")  # settings that a routing experiment, its selector and its experts share
OF_CAST = ("spatial", "temporal", "frames", "views")  # settings of recognizers that the parts of one TSTL share


def unfit_parts(raw: Mapping[str, Any]) -> list[str]:
    """Report routing experiments whose parts do not fit together, and groups of the confusions of another data set.

    Entries that are malformed, or not there, are reported elsewhere, but for the experts of a routing experiment.

    Args:
        raw: The configuration, whose entries may be anything.
    """
    mistakes: list[str] = []
    for name, entry in raw_entries(raw, "experiments").items():
        if entry.get("kind") == "routing":
            mistakes += _of_routing(raw, name, entry)
        if isinstance(entry.get("part"), Mapping):
            mistakes += [*_of_heads(raw, name, entry), *_of_confusions(raw, name, entry)]
            mistakes += _of_number(raw, name, entry)
    return mistakes


def _of_routing(raw: Mapping[str, Any], name: str, routing: Mapping[str, Any]) -> Iterator[str]:
    experiments = raw_entries(raw, "experiments")
    selector = experiments.get(str(routing.get("selector")))
    experts = routing.get("experts")
    if selector is None or not isinstance(experts, list):
        return
    groups = _part(selector).get("groups")
    place = f"experiments.{name}.selector: {routing['selector']}"
    if groups is None or _part(selector).get("group", 0) is not None:
        yield f"`{place}`: is no selector: write `part: {{groups: NAME, group: null}}` there"
        return
    yield from _unlike(raw, place, routing, selector, selector)
    number = _number_of(raw, str(groups))
    if number is not None and number != len(experts):
        yield f"`experiments.{name}.experts`: {len(experts)} experts, but `groups.{groups}` are {number}: one for each"
    for i, expert in enumerate(experts):
        place = f"experiments.{name}.experts.{i}: {expert}"
        found = experiments.get(str(expert))
        if found is None or found.get("kind") != "recognition":
            yield f"`{place}`: no experiment of kind recognition"
        elif _part(found).get("groups") != groups or _part(found).get("group") != i:
            yield f"`{place}`: is not the expert of group {i}: write `part: {{groups: {groups}, group: {i}}}` there"
        else:
            yield from _unlike(raw, place, routing, selector, found)


def _unlike(
    raw: Mapping[str, Any],
    place: str,
    routing: Mapping[str, Any],
    selector: Mapping[str, Any],
    part: Mapping[str, Any],
) -> Iterator[str]:
    """Report what a part does not share with the routing experiment, or its recognizer with that of the selector."""
    for key in ALIKE:
        if part.get(key) != routing.get(key):
            yield f"`{place}`: has `{key}: {part.get(key)}`, and the routing `{routing.get(key)}`: write the same"
    recognizers = raw_entries(raw, "recognizers")
    own, first = (recognizers.get(str(one.get("recognizer")), {}) for one in (part, selector))
    if own.get("kind") != "cast":
        yield f"`{place}`: its recognizer {part.get('recognizer')} is not of kind cast, which shares frozen experts"
        return
    if first.get("kind") != "cast":
        return
    differ = [key for key in OF_CAST if own.get(key) != first.get(key)]
    if differ:
        yield f"`{place}`: its recognizer has another `{differ[0]}` than the selector's, and one body serves all parts"
    mine, theirs = (_mapping(one.get("training")).get("precision") for one in (own, first))
    if mine != theirs:
        yield (
            f"`{place}`: its recognizer has `training.precision: {mine}`, and the selector's `{theirs}`: all parts "
            "compute in one: write the same"
        )


def _of_heads(raw: Mapping[str, Any], name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    dataset = raw_entries(raw, "datasets").get(str(entry.get("dataset")), {})
    heads = dataset.get("heads")
    if dataset.get("kind") == "epic_kitchens" or (isinstance(heads, list) and len(heads) > 1):
        yield (
            f"`experiments.{name}.part`: groups are of the classes of one head, and data set {entry['dataset']} has "
            "several: write null"
        )


def _of_confusions(raw: Mapping[str, Any], name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    groups = str(entry["part"].get("groups"))
    settings = raw_entries(raw, "groups").get(groups, {})
    source = raw_entries(raw, "experiments").get(str(settings.get("experiment")))
    if settings.get("kind") != "confusions" or source is None:
        return
    if source.get("dataset") != entry.get("dataset") or source.get("part") is not None:
        yield (
            f"`groups.{groups}.experiment: {settings['experiment']}`: experiment {name} learns these groups of "
            f"{entry.get('dataset')}: name one of the same data set, with `part: null`"
        )


def _of_number(raw: Mapping[str, Any], name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    groups, group = str(entry["part"].get("groups")), entry["part"].get("group")
    number = _number_of(raw, groups)
    if number is not None and isinstance(group, int) and group >= number:
        yield f"`experiments.{name}.part.group: {group}`: `groups.{groups}` are {number}, numbered from 0"


def _number_of(raw: Mapping[str, Any], groups: str) -> int | None:
    """How many groups there are, by the configuration or by the file that it names; None where neither says it."""
    settings = raw_entries(raw, "groups").get(groups, {})
    if settings.get("kind") == "file":
        return number_listed(settings.get("file"))
    number = settings.get("number")
    return number if isinstance(number, int) else None


def _part(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(entry.get("part"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

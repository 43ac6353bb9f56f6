"""Say what is wrong with a configuration: the place as it stands in the YAML, and what to write instead."""

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.config.borrowing import borrowed_of_others
from pipeline.config.clip_scores import unfit_clip_scores
from pipeline.config.experiments import CAPTIONED
from pipeline.config.explanations import unfit_explanations
from pipeline.config.routing import unfit_parts

# Places where an entry of one section names an entry of another: (section, perhaps only its entries of one kind; path
# within the entry; section of the named entry; kind that the named entry must be of, or "one or another", or None for
# any).
REFERENCES = (
    ("datasets of kind ucf101", ("decoded_as",), "datasets", "ucf101"),
    ("datasets of kind hmdb51", ("decoded_as",), "datasets", "hmdb51"),
    ("encoders", ("calibrate_on",), "datasets", None),
    ("encoders of kind clip4clip", ("finetune", "dataset"), "datasets", None),
    ("encoders of kind detector", ("finetune", "dataset"), "datasets", "shapes"),
    ("encoders", ("finetune", "sampling"), "samplings", None),
    ("nodes", ("sampling",), "samplings", None),
    ("nodes", ("encoder",), "encoders", "clip4clip"),
    ("nodes", ("detector",), "encoders", "detector"),
    ("graphs", ("nodes",), "nodes", None),
    ("graphs", ("motion",), "encoders", "i3d or cast"),
    ("encoders of kind cast", ("experiment",), "experiments", "recognition"),
    ("encoders of kind recognizer", ("experiment",), "experiments", "recognition"),
    ("maps", ("sampling",), "samplings", None),
    ("maps", ("encoder",), "encoders", "i3d or cast or recognizer"),
    ("knowledge", ("dataset",), "datasets", None),
    ("knowledge", ("sampling",), "samplings", None),
    ("knowledge", ("encoder",), "encoders", "clip4clip"),
    ("vocabularies", ("dataset",), "datasets", None),
    ("experiments", ("dataset",), "datasets", None),
    ("experiments of kind captioning", ("graph",), "graphs", None),
    ("experiments of kind captioning", ("objects",), "nodes", "object"),
    ("experiments of kind captioning", ("knowledge",), "knowledge", None),
    ("experiments of kind captioning", ("captioner",), "captioners", "bidirectional"),
    ("experiments of kind captioning", ("vocabulary",), "vocabularies", None),
    ("experiments of kind map_captioning", ("maps",), "maps", None),
    ("experiments of kind map_captioning", ("captioner",), "captioners", "lstm"),
    ("experiments of kind map_captioning", ("vocabulary",), "vocabularies", None),
    ("experiments of kind recognition", ("clipping",), "clippings", None),
    ("experiments of kind recognition", ("recognizer",), "recognizers", None),
    ("experiments of kind recognition", ("part", "groups"), "groups", None),
    ("experiments of kind routing", ("clipping",), "clippings", None),
    ("experiments of kind routing", ("selector",), "experiments", "recognition"),
    ("groups of kind confusions", ("experiment",), "experiments", "recognition"),
    ("encoders of kind videomae", ("pretrain", "dataset"), "datasets", None),
    ("encoders of kind videomae", ("pretrain", "clipping"), "clippings", None),
    ("recognizers of kind cast", ("spatial",), "encoders", "clip4clip or clip_tower"),
    ("recognizers of kind cast", ("temporal",), "encoders", "videomae"),
    ("recognizers of kind probe", ("features",), "experiments", "recognition"),
    ("recognizers of kind convolutional", ("backbone", "weights", "experiment"), "experiments", "recognition"),
    ("predictions", ("experiment",), "experiments", "captioning or map_captioning"),
    ("predictions", ("dataset",), "datasets", None),
    ("explanations", ("experiment",), "experiments", "captioning or map_captioning"),
)

# Kinds of data sets that have labels and no captions. The clips of `sync_mnist` are no videos either: they are drawn.
UNCAPTIONED = (
    "sync_mnist",
    "something_something",
    "labelled_list",
    "ucf101",
    "hmdb51",
    "kinetics",
    "epic_kitchens",
)


def describe(
    raw: Mapping[str, Any], error: Mapping[str, Any], keys: list[str], kinds: Mapping[str, Sequence[str]]
) -> str:
    """Describe a mistake that pydantic found, with its path as it stands in the YAML.

    Args:
        raw: The configuration.
        error: One of `ValidationError.errors()`.
        keys: The keys that are known at the level of the mistake, of which one may be suggested.
        kinds: The known kinds of each section whose entries have a `kind`.
    """
    location = error["loc"]
    if location[0] in kinds and len(location) > 2:
        if location[2:] == ("kind",):
            return _wrong_kind(raw, location, kinds)
        if location[2] in kinds[location[0]]:
            location = location[:2] + location[3:]  # the YAML has no level for the kind that chose the model
    if error["type"] in ("union_tag_not_found", "union_tag_invalid") and location[0] in kinds:
        return _wrong_kind(raw, location, kinds) if len(location) == 2 else _wrong_kind_within(raw, location, error)
    path, value = _path_in(raw, location, error["type"] == "missing")
    if error["type"] == "extra_forbidden":
        word = path.rsplit(".", 1)[-1]
        return f"`{path}`: there is no such key{suggest(word, keys)}"
    if error["type"] == "missing":
        return f"`{path}`: missing, there are no defaults: copy it from config.yaml"
    if error["type"] == "string_pattern_mismatch" and error["loc"][-1] == "[key]":
        return f"`{path}`: a name may hold letters, digits, `_` and `-`, and starts with a letter or a digit"
    message = error["msg"].removeprefix("Value error, ")
    return f"`{path}`: {message}" + (f" (is {json.dumps(value)})" if not isinstance(value, Mapping) else "")


def _wrong_kind(raw: Mapping[str, Any], location: tuple[int | str, ...], kinds: Mapping[str, Sequence[str]]) -> str:
    """Say that an entry has no kind or an unknown one, and name the known ones."""
    section, name = str(location[0]), location[1]
    entry = raw[section][name]
    problem = f"there is no such kind (is {json.dumps(entry['kind'])})" if "kind" in entry else "missing"
    return f"`{section}.{name}.kind`: {problem}: expected {' or '.join(kinds[section])}"


def _wrong_kind_within(raw: Mapping[str, Any], location: tuple[int | str, ...], error: Mapping[str, Any]) -> str:
    """Say that a part of an entry, such as a backbone, has no kind or an unknown one."""
    path, part = _path_in(raw, location, is_missing=False)
    if error["type"] == "union_tag_not_found" or not isinstance(part, Mapping):
        return f"`{path}.kind`: missing"
    expected = error["ctx"]["expected_tags"].replace("'", "")
    return f"`{path}.kind`: there is no such kind (is {json.dumps(part['kind'])}): expected one of {expected}"


def _path_in(raw: Any, location: tuple[int | str, ...], is_missing: bool) -> tuple[str, Any]:
    """The dotted path of an error, without parts that only pydantic knows (a union's member), and the value there."""
    parts: list[str] = []
    value = raw
    for part in location:
        inside = isinstance(value, Mapping) and part in value
        if inside or (isinstance(value, list) and isinstance(part, int) and part < len(value)):
            value = value[part]
            parts.append(str(part))
    if is_missing:
        parts.append(str(location[-1]))
    return ".".join(parts), value


def suggest(word: str, known: list[str]) -> str:
    """End a message about an unknown word: name the known word that it resembles, or all of them if they are few."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f": did you mean `{near[0]}`?"
    return f": there is {', '.join(sorted(known)) or 'none'}" if len(known) < 20 else ""


def broken_references(raw: Mapping[str, Any]) -> list[str]:
    """Report names that refer to no entry of their section, or to an entry of another kind than is needed."""
    mistakes = []
    for section, path, target, kind in REFERENCES:
        section, _, kind_of_entry = section.partition(" of kind ")
        entries = raw.get(section)
        named = raw.get(target)
        if not isinstance(entries, Mapping) or not isinstance(named, Mapping):
            continue  # reported already
        for entry, settings in entries.items():
            if kind_of_entry and not (isinstance(settings, Mapping) and settings.get("kind") == kind_of_entry):
                continue
            name = settings
            for key in path:
                name = name.get(key) if isinstance(name, Mapping) else None
            if not isinstance(name, str):
                continue
            place = ".".join([section, str(entry), *path])
            if name not in named:
                mistakes.append(
                    f"`{place}: {name}`: no such entry in `{target}`{suggest(name, [str(n) for n in named])}"
                )
            elif kind is not None and isinstance(named[name], Mapping) and not _is_of(named[name], kind):
                fitting = [str(n) for n, s in named.items() if isinstance(s, Mapping) and _is_of(s, kind)]
                mistakes.append(f"`{place}: {name}`: must be of kind {kind}: {', '.join(fitting) or 'there is none'}")
    mistakes += borrowed_of_others(raw) + _without_captions(raw) + _unknown_teachers(raw) + unfit_parts(raw)
    return (
        mistakes
        + _unknown_in_report(raw)
        + _published_of_nothing(raw)
        + unfit_clip_scores(raw)
        + unfit_explanations(raw)
    )


def _is_of(entry: Mapping[str, Any], kind: str) -> bool:
    return entry.get("kind") in kind.split(" or ")


def _without_captions(raw: Mapping[str, Any]) -> list[str]:
    """Report captioning on data sets that have no captions, and predictions of captions for clips without a video."""
    datasets = raw.get("datasets")
    mistakes = []
    for section, kinds, why in (
        ("experiments", UNCAPTIONED, "has labels and no captions: name another, or write `kind: recognition`"),
        ("predictions", ("sync_mnist",), "has no videos, which a captioner needs: name another"),
    ):
        entries = raw.get(section)
        for entry, settings in entries.items() if isinstance(entries, Mapping) else ():
            name = settings.get("dataset") if isinstance(settings, Mapping) else None
            named = datasets.get(name) if isinstance(datasets, Mapping) and isinstance(name, str) else None
            kind = named.get("kind") if isinstance(named, Mapping) else None
            if kind in kinds and settings.get("kind", "captioning") in CAPTIONED:
                mistakes.append(f"`{section}.{entry}.dataset: {name}`: a data set of kind {kind} {why}")
    return mistakes


def _unknown_teachers(raw: Mapping[str, Any]) -> list[str]:
    recognizers, experiments = raw.get("recognizers"), raw.get("experiments")
    if not isinstance(recognizers, Mapping) or not isinstance(experiments, Mapping):
        return []
    mistakes = []
    for name, settings in recognizers.items():
        inside = settings
        for key in ("training", "kick_start", "teachers"):
            inside = inside.get(key) if isinstance(inside, Mapping) else None
        for place, teacher in inside.items() if isinstance(inside, Mapping) else ():
            named = experiments.get(teacher) if isinstance(teacher, str) else None
            if not isinstance(named, Mapping) or named.get("kind") != "recognition":
                where = f"recognizers.{name}.training.kick_start.teachers.{place}"
                known = [
                    str(n) for n, e in experiments.items() if isinstance(e, Mapping) and e.get("kind") == "recognition"
                ]
                mistakes.append(
                    f"`{where}: {teacher}`: no experiment of kind recognition{suggest(str(teacher), known)}"
                )
    return mistakes


def _unknown_in_report(raw: Mapping[str, Any]) -> list[str]:
    report, experiments = raw.get("report"), raw.get("experiments")
    if not isinstance(report, Mapping) or not isinstance(experiments, Mapping):
        return []
    named, known = report.get("experiments"), [str(name) for name in experiments]
    return [
        f"`report.experiments: {name}`: no such entry in `experiments`{suggest(str(name), known)}"
        for name in (named if isinstance(named, list) else [])
        if isinstance(name, str) and name not in experiments
    ]


def _published_of_nothing(raw: Mapping[str, Any]) -> list[str]:
    report, datasets = raw.get("report"), raw.get("datasets")
    rows = report.get("published") if isinstance(report, Mapping) else None
    named = [row.get("dataset") for row in (rows if isinstance(rows, list) else []) if isinstance(row, Mapping)]
    known = datasets if isinstance(datasets, Mapping) else {}
    return [
        f"`report.published: {name}`: no such entry in `datasets`{suggest(name, [str(entry) for entry in known])}"
        for name in named
        if isinstance(name, str) and name not in known
    ]

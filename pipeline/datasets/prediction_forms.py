"""Read the captions that other systems made, from each form in which they write them.

results     COCO's results, LAVIS, submissions of lmms-eval: [{"image_id": "video7010", "caption": "a man sings"}]
lmms_eval   samples of lmms-eval, JSON Lines: {"doc_id": 0, "cider": {"pred": "a man sings", "video_id": "video7010"}}
mapping     CLIPScore, PAC-S, VATEX: {"video7010": "a man sings"}
challenge   {"version": "1", "captions": {"video7010": "a man sings"}}, or "result": [{"video_id": .., "caption": ..}]
cocap       {"results": {"video7010": [{"sentence": "a man sings", "gt_sentence": "a man is singing"}]}}
vlmevalkit  a table with the columns index, prediction, answer and perhaps video
swinbert    lines of an id, a tab and a JSON list: [{"caption": "a man sings", "conf": 0.9}]
lines       a caption a line and no ids, which a list of ids gives
"""

import json
import os
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.config.experiments import PredictionForm
from pipeline.datasets.listing import read_text
from pipeline.datasets.strict_json import parse_json
from pipeline.datasets.text_tables import csv_rows, json_lines
from pipeline.errors import PipelineError
from pipeline.jobs.storage import why_no_file

EXAMPLES: Mapping[str, str] = {
    "results": 'JSON [{"image_id": "video1", "caption": "a man sings"}]',
    "lmms_eval": 'JSON Lines {"doc_id": 0, "cider": {"pred": "a man sings", "video_id": "video1"}}',
    "mapping": 'JSON {"video1": "a man sings"}',
    "challenge": 'JSON {"version": "1", "captions": {"video1": "a man sings"}}, or "result" with a list of results',
    "cocap": 'JSON {"results": {"video1": [{"sentence": "a man sings", "gt_sentence": "a man is singing"}]}}',
    "vlmevalkit": "CSV or TSV with the columns index, prediction, answer and perhaps video",
    "swinbert": 'lines of an id, a tab and a JSON list [{"caption": "a man sings"}]',
    "lines": "a caption a line, with a list of `ids` in the same order",
}
IDS = ("video_id", "image_id", "video", "id")  # the first that an object or a table has names its video
TABLES = (".csv", ".tsv")
LONGEST_SHOWN = 80  # characters of an id that a message spells out


class Prediction(NamedTuple):
    """A caption as a file has it.

    Attributes:
        video: What the file calls the video.
        caption: The caption as written.
        place: Where it stands, for messages.
    """

    video: str
    caption: str
    place: str


class _OtherForm(Exception):  # noqa: N818
    """The content is of another form than the one that was tried."""


def read_predictions(path: Path, form: PredictionForm, ids: Path | None) -> tuple[str, list[Prediction]]:
    """Read the captions of a file.

    Args:
        path: The file.
        form: Its form, or `auto` to tell it by its content.
        ids: For a file that names no videos, a list of their ids: a line each, or a list in JSON.

    Returns:
        The form, and the captions in the order of the file.

    Raises:
        PipelineError: the file cannot be read; it is of another form or of none that is known; it names no videos and
            there are no `ids`, or as many ids as captions are expected and not found; or one video has several captions
            in one place.
    """
    _require_file(path)
    if form == "auto":
        form = form_of(path)
    names = None if ids is None else read_ids(ids)
    if names is not None and form not in ("lines", "vlmevalkit"):
        raise PipelineError(f"{path}: a file of the form {form} names its videos: leave `ids` out (null)")
    try:
        return form, list(_read(path, form, names, ids))
    except _OtherForm as problem:
        told = f" ({problem})" if str(problem) else ""
        raise PipelineError(f"{path}: not of the form {form}{told}: expected {EXAMPLES[form]}") from None


def form_of(path: Path) -> PredictionForm:
    """Tell the form of a file by its name and its content.

    Raises:
        PipelineError: it is of none that is known; the message lists them.
    """
    suffix = path.suffix.lower()
    if suffix == ".txt":
        return "lines"
    if suffix in TABLES:
        first = _text(path).partition("\n")[0]
        names = {name.strip(' "') for name in re.split("[,;\t]", first)}
        return "vlmevalkit" if "prediction" in names or (suffix == ".csv" and "\t" not in first) else "swinbert"
    if suffix in (".jsonl", ".ndjson"):
        return "lmms_eval"
    if suffix == ".json":
        text = _text(path)
        if _is_json_lines(text):
            return "lmms_eval"
        content = parse_json(text, str(path))
        for form, is_of in _SHAPES.items():
            if is_of(content):
                return form
    known = "; ".join(f"{form}: {example}" for form, example in EXAMPLES.items())
    raise PipelineError(f"{path}: a file of no known form: save it as one of {known}")


def read_ids(path: Path) -> list[str]:
    """Read a list of ids: a line each, or a list of texts in JSON; empty lines are skipped.

    Raises:
        PipelineError: it is neither, or cannot be read.
    """
    _require_file(path)
    if path.suffix.lower() != ".json":
        return [line.strip() for line in _text(path).split("\n") if line.strip()]
    content = parse_json(_text(path), str(path))
    if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
        raise PipelineError(f"{path}: expected a list of ids, as texts")
    return content


def shortened(name: str) -> str:
    """An id as a message has it: in quotes where its end would not be seen, and without its middle if it is long."""
    return name if name == name.strip() != "" and len(name) <= LONGEST_SHOWN else reprlib.repr(name)


def _read(path: Path, form: PredictionForm, names: list[str] | None, ids: Path | None) -> Iterator[Prediction]:
    match form:
        case "lines":
            yield from _lines(path, names, ids)
        case "swinbert":
            yield from _swinbert(path)
        case "vlmevalkit":
            yield from _table(path, names, ids)
        case "lmms_eval":
            yield from _samples(path)
        case _:
            yield from _objects(path, form, parse_json(_text(path), str(path)))


def _objects(path: Path, form: PredictionForm, content: Any) -> Iterator[Prediction]:
    """The captions of the forms that are one JSON object or list."""
    if not _SHAPES[form](content):
        raise _OtherForm
    if form == "challenge":
        content = content["captions"] if "captions" in content else content["result"]
    elif form == "cocap":
        content = content["results"]
    if isinstance(content, list):
        for number, record in enumerate(content, start=1):
            if not isinstance(record, dict) or not isinstance(record.get("caption"), str):
                raise _OtherForm(f"entry {number} has no caption that is a text")
            yield Prediction(_name(record, f"entry {number}"), record["caption"], f"{path}: entry {number}")
        return
    for video, told in content.items():
        yield Prediction(video, _only(told, video, path, "sentence"), f"{path}: {video}")


def _lines(path: Path, names: list[str] | None, ids: Path | None) -> Iterator[Prediction]:
    text = _text(path)
    lines = text.removesuffix("\n").split("\n") if text else []
    if names is None:
        raise PipelineError(f"{path}: captions without ids: give `ids`, a list of the videos in the order of the lines")
    if len(lines) != len(names):
        raise PipelineError(f"{path}: {len(lines)} lines, and {len(names)} ids in {ids}: expected a line for each id")
    for number, (name, line) in enumerate(zip(names, lines, strict=True), start=1):
        yield Prediction(name, line, f"{path}:{number}")


def _swinbert(path: Path) -> Iterator[Prediction]:
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        video, *others = line.split("\t")
        if len(others) != 1:
            raise _OtherForm(f"line {number} has {len(others) or 'no'} tabs")
        told = others[0].strip()
        content = parse_json(told, f"{path}:{number}") if told[:1] in ("[", "{") or told == "null" else told
        yield Prediction(video, _only(content, video, path, "caption"), f"{path}:{number}")


def _table(path: Path, names: list[str] | None, ids: Path | None) -> Iterator[Prediction]:
    if path.suffix.lower() not in TABLES:
        raise _OtherForm("save a spreadsheet as CSV")
    for number, row in csv_rows(path, _fits, "index,prediction,answer"):
        column = next((name for name in IDS if name in row), "index")
        video = str(row[column])
        if names is not None:
            index = str(row["index"])
            if not index.isdecimal() or int(index) >= len(names):
                raise PipelineError(
                    f"{path}:{number}: index {index}: expected the place of an id in {ids}, from 0 to {len(names) - 1}"
                )
            video = names[int(index)]
        yield Prediction(video, str(row["prediction"]), f"{path}:{number}")


def _samples(path: Path) -> Iterator[Prediction]:
    for number, record in json_lines(path, EXAMPLES["lmms_eval"]):
        answers = [told for told in record.values() if isinstance(told, dict) and "pred" in told]
        if not answers:
            raise _OtherForm(f"line {number} has no answer with `pred` and `video_id`")
        for answer in answers:
            name = _name(answer, f"line {number}")
            yield Prediction(name, _only(answer["pred"], name, path, "caption"), f"{path}:{number}")


def _only(told: Any, video: str, path: Path, key: str) -> str:
    """The one caption of a video that is told as a text, or as a list of one text or of one object with `key`."""
    if isinstance(told, list):
        if len(told) != 1:
            raise PipelineError(f"{path}: {shortened(video)} has {len(told)} captions: leave one of them")
        told = told[0]
    caption = told.get(key) if isinstance(told, dict) else told
    if not isinstance(caption, str):
        raise _OtherForm(f"{shortened(video)} has no caption that is a text")
    return caption


def _name(record: Mapping[str, Any], place: str) -> str:
    """What a record calls its video: a text or a whole number."""
    name = _first(record, IDS)
    if name is None:
        raise _OtherForm(f"{place} names no video by `video_id` or `image_id`")
    if not isinstance(name, str | int) or isinstance(name, bool):
        raise _OtherForm(f"{place} names its video by {reprlib.repr(name)}, which is neither a text nor a whole number")
    return str(name)


def _first(record: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((record[key] for key in keys if key in record), None)


def _fits(header: list[str]) -> bool:
    return {"index", "prediction"} <= set(header)


def _require_file(path: Path) -> None:
    """Raise PipelineError if there is no file that can be read."""
    why = why_no_file(path) or (None if os.access(path, os.R_OK) else "there is no permission to read it")
    if why is not None:
        raise PipelineError(f"{path}: {why}: name a file of captions, or of their ids, that can be read")


def _text(path: Path) -> str:
    text = read_text(path)
    if "\0" in text:
        raise PipelineError(f"{path}: it holds NUL characters, as UTF-16 read for UTF-8 does: save it as UTF-8")
    return text


def _is_json_lines(text: str) -> bool:
    """Whether the first of several lines is JSON by itself; of an object of several lines it is not."""
    first, _, others = text.partition("\n")
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return False
    return bool(others.strip())


# A form is told by how most of a file looks. What a single entry lacks is said when it is read.
def _is_results(content: Any) -> bool:
    return isinstance(content, list) and any(isinstance(record, dict) and "caption" in record for record in content)


def _is_mapping(content: Any) -> bool:
    return isinstance(content, dict) and bool(content) and not any(map(_holds_objects, content.values()))


def _holds_objects(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(inner, dict) for inner in value))


def _is_challenge(content: Any) -> bool:
    inside = _first(content, ("captions", "result")) if isinstance(content, dict) else None
    return _is_mapping(inside) or _is_results(inside)


def _is_cocap(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("results"), dict) and bool(content["results"])


_SHAPES: Mapping[PredictionForm, Callable[[Any], bool]] = {
    "results": _is_results,
    "challenge": _is_challenge,
    "cocap": _is_cocap,
    "mapping": _is_mapping,
}

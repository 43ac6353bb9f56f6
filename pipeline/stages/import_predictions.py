"""Import the captions that another system made of a split, in the form that `generate_captions` writes."""

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.artifact import file_digest, read_json, write_json
from pipeline.artifact.inputs import record_inputs
from pipeline.captioning.caption_table import write_table
from pipeline.config import ImportSettings
from pipeline.datasets.caption_texts import clean_caption
from pipeline.datasets.extensions import file_stem
from pipeline.datasets.near_names import nearest
from pipeline.datasets.prediction_forms import Prediction, read_predictions, shortened
from pipeline.errors import PipelineError

NUM_SHOWN = 5  # ids that a message spells out

log = logging.getLogger(__name__)


def run(
    *, predictions: Path, ids: list[Path], captions: Path, split: str, settings: ImportSettings, out: Path, table: Path
) -> None:
    """Import the captions of a split.

    Args:
        predictions: The file of the other system.
        ids: A list of the videos' ids in the order of the file, for a file that names none; nothing for others.
        captions: The data set's captions.json, for its splits.
        split: The split whose captions are imported: val or test.
        settings: The form of the file, and how captions are split into words for their scores.
        out: Where the captions go (JSON): `captions` by id, `missing` (ids of the split without a caption),
            `tokenizer`, `inputs` (the data set's captions), `imported` (`file`, its name, `digest` and `form`), and
            `notes` about what the file has more or less than the split.
        table: Where the captions go, too, as a table (CSV): `video_id` and `caption`.

    Raises:
        PipelineError: The file cannot be read, holds captions of unknown videos or several of one, or none of the
            split.
    """
    index = read_json(captions, ["captions", "splits"], "index_captions")
    form, told = read_predictions(predictions, settings.form, ids[0] if ids else None)
    if not told:
        raise PipelineError(f"{predictions}: it is of the form {form} and holds no caption: name a file with captions")
    found = captions_by_id(told, [*index["captions"], *index.get("missing", [])], predictions)
    of_split = index["splits"].get(split, [])
    captioned = {video_id: found[video_id] for video_id in of_split if video_id in found}
    if not captioned:
        raise PipelineError(
            f"{predictions}: {len(found)} captions, and none of the {len(of_split)} videos of split {split}: name the "
            "file of this split"
        )
    missing = [video_id for video_id in of_split if video_id not in captioned]
    notes = notes_on(captioned, missing, len(found) - len(captioned), split)
    content: dict[str, Any] = {
        "captions": captioned,
        "missing": missing,
        "tokenizer": settings.tokenizer,
        "inputs": record_inputs({"captions": captions}),
        "imported": {"file": predictions.name, "digest": file_digest(predictions), "form": form},
        "notes": notes,
    }
    write_json(out, content)
    write_table(table, captioned)
    for note in notes:
        log.warning("%s", note)
    print(f"{predictions} ({form}): captions of {len(captioned)} of the {len(of_split)} videos of split {split}")


def captions_by_id(told: Sequence[Prediction], known: Collection[str], path: Path) -> dict[str, str]:
    """Find the video of each caption by its id or its file's name, with or without folders and a video's extension.

    Args:
        told: The captions of a file.
        known: The ids of all videos of the data set, with those that have captions and no file.
        path: The file, for messages.

    Returns:
        The captions by id, cleaned as those of data sets are. A video may have one caption several times.

    Raises:
        PipelineError: A video is unknown, may be several ones, or has several captions.
    """
    by_name = names_of(known)
    found: dict[str, Prediction] = {}
    unknown: dict[str, str] = {}
    for one in told:
        fitting = _fitting(one.video, by_name)
        if not fitting:
            unknown.setdefault(one.video, one.place)
            continue
        if len(fitting) > 1:
            raise PipelineError(
                f"{one.place}: {shortened(one.video)} may be {' or '.join(fitting[:NUM_SHOWN])}: name one"
            )
        first = found.setdefault(fitting[0], one)
        if clean_caption(first.caption) != clean_caption(one.caption):
            raise PipelineError(
                f"{one.place}: a second caption of {fitting[0]}, whose first stands at {first.place}: leave one of them"
            )
    if unknown:
        raise PipelineError(_unknown(unknown, by_name, path))
    return {video_id: clean_caption(one.caption) for video_id, one in found.items()}


def names_of(ids: Collection[str]) -> dict[str, list[str]]:
    """The videos that a name may stand for: an id alone where it is one, or all ids whose last part it is."""
    found: dict[str, list[str]] = {}
    for video_id in sorted(ids):
        base = os.path.basename(video_id)  # noqa: PTH119, much faster
        for name in {file_stem(video_id), base, file_stem(base)} - {video_id}:
            found.setdefault(name, []).append(video_id)
    return found | {video_id: [video_id] for video_id in ids}


def _fitting(name: str, by_name: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """The videos that a file may mean by a name: by itself, else those whose id it ends with behind other folders."""
    found = next((by_name[known] for known in (name, file_stem(name)) if known in by_name), None)
    if found is not None:
        return found
    parts = name.replace("\\", "/").split("/")
    for start in range(1, len(parts)):
        inner = "/".join(parts[start:])
        for end in (inner, file_stem(inner)):  # a whole id: `b/x.mp4` is not the video `a/x.mp4`
            whole = [video_id for video_id in by_name.get(end, []) if end in (video_id, file_stem(video_id))]
            if whole:
                return whole
    return []


def _unknown(unknown: Mapping[str, str], by_name: Mapping[str, Sequence[str]], path: Path) -> str:
    shown = []
    for name, place in list(unknown.items())[:NUM_SHOWN]:
        near = nearest(name, by_name.keys())
        where = place.removeprefix(f"{path}:").strip()
        line = f"line {where}" if where.isdigit() else ""
        meant = f"did you mean {by_name[near][0]}?" if near else ""
        told = ", ".join(part for part in (line, meant) if part)
        shown.append(f"{shortened(name)} ({told})" if told else shortened(name))
    more = f" and {len(unknown) - NUM_SHOWN} more" if len(unknown) > NUM_SHOWN else ""
    return (
        f"{path}: captions of {len(unknown)} videos that the data set does not have: {', '.join(shown)}{more}: name "
        "the data set that they are of, or take them out"
    )


def notes_on(captioned: Mapping[str, str], missing: Sequence[str], num_others: int, split: str) -> list[str]:
    """Say what a reader of the scores must know of the file: what it lacks, leaves empty, or has of other splits."""
    notes = []
    if missing:
        of = len(captioned) + len(missing)
        notes.append(f"no caption of {len(missing)} of {of} videos of {split}: {_some(missing)}")
    empty = [video_id for video_id, caption in captioned.items() if not caption]
    if empty:
        notes.append(f"empty captions of {len(empty)} videos, which score 0: {_some(empty)}")
    if num_others:
        notes.append(f"captions of {num_others} videos that are not of split {split} are left out")
    return notes


def _some(ids: Sequence[str]) -> str:
    return ", ".join([*ids[:NUM_SHOWN], *(["..."] if len(ids) > NUM_SHOWN else [])])

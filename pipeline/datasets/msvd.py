"""The data set `msvd` (Chen and Dolan, ACL 2011): 1,970 clips with some 41 English captions each.

A clip's id is VideoID_Start_End, as its file is called, or vidN where a mapping file says so. Captions are read line by
line from the Microsoft Research Video Description Corpus (CSV) or from AllVideoDescriptions.txt, or as a whole from id
-> captions in JSON or in a pickle (raw-captions_mapped.pkl, whose captions are lists of words). The splits of 1200, 100
and 670 clips are those of Venugopalan et al. (ICCV 2015).
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.config import MsvdSettings
from pipeline.datasets.annotated import (
    Annotations,
    list_clips,
    load_json,
    named_clip,
    read_lines,
    require_file,
    shown,
)
from pipeline.datasets.listing import Video
from pipeline.datasets.nulls import is_null_text
from pipeline.datasets.plain_pickle import read_plain_pickle
from pipeline.datasets.positions import first_number, numbers_of, published_sizes, split_at
from pipeline.datasets.split_lists import read_split_lists
from pipeline.errors import PipelineError

SIZES = {"train": 1200, "val": 100, "test": 670}
TOTAL = sum(SIZES.values())
ADVICE = "name a `mapping`, or lists of ids (`splits: {train: ..., val: ..., test: ...}`)"
PICKLES = (".pkl", ".pickle")
CLIP_NAME = re.compile(r".+_[0-9]+_[0-9]+")  # VideoID_Start_End: its last number counts seconds, not clips
COLUMNS = ("VideoID", "Start", "End", "Language", "Description")
NUM_WORDS = 20_000_000  # most in a pickle, thirty times the published; it may hold one list many times
NUM_LINES = 20  # a quoted description over more lines is a quote that is never closed


def list_videos(source: Path, mapping: Path | None) -> list[Video]:
    """List the videos by id: the mapping's vidN for a file's name without extension, or else that name itself.

    A file that is called vidN itself is that clip, too.

    Raises:
        PipelineError: if the folder or the mapping cannot be read, or two files have one id.
    """
    return list_clips(source, names=read_mapping(mapping))


def read_annotations(settings: MsvdSettings) -> Annotations:
    """Read the captions and splits.

    `splits: position` goes by the number in the ids, if all of them are one text and a number: the first 1200 are for
    training, the next 100 for validation. Published are vid1 to vid1970; others call them video0 to video1969. Without
    such numbers it goes by the place in the mapping or, without a mapping, by what `_places` knows.

    Raises:
        PipelineError: naming the file and the line that cannot be read; or if a position is asked for and not clear.
    """
    names = read_mapping(settings.mapping)
    annotations = Annotations()
    for path in settings.captions if isinstance(settings.captions, list) else [settings.captions]:
        for clip, caption, place in _captions(path):
            known = named_clip(clip, place)
            annotations.add(names.get(known, known), caption, place)
    if settings.splits == "position":
        for clip, position in _positions(annotations, names, settings).items():
            annotations.assign(clip, split_at(position, SIZES), "position")
    else:
        read_split_lists(settings.splits.model_dump(), annotations, names)
    published_sizes(annotations, SIZES)
    return annotations


def _positions(annotations: Annotations, names: Mapping[str, str], settings: MsvdSettings) -> dict[str, int]:
    """Position (from 0) of each clip that has one.

    Raises:
        PipelineError: if the position of the clips is not clear.
    """
    clips = list(annotations.captions)
    numbered = None if all(CLIP_NAME.fullmatch(clip) for clip in clips) else numbers_of(clips)
    if numbered is None:
        places = {clip: place for place, clip in enumerate(names.values() or _places(clips, settings))}
        return {clip: places[clip] for clip in clips if clip in places}
    prefix, numbers = numbered
    mapped = numbers_of(names.values())
    usual = 1 if prefix == "vid" else None  # so the published mapping calls them
    first = first_number(numbers.values(), TOTAL, usual)
    if mapped is not None and mapped[0] == prefix:
        first_mapped = first_number(mapped[1].values(), TOTAL, usual)
        if first is not None and first != first_mapped:
            raise PipelineError(
                f"`mapping: {settings.mapping}` begins with {min(names.values(), key=mapped[1].__getitem__)}, the "
                f"captions with {min(clips, key=numbers.__getitem__)}: every caption would go to another clip; number "
                "both alike"
            )
    if first is None:
        raise PipelineError(
            f"`splits: position`: from {shown(clips)} it is not clear whether {prefix}0 or {prefix}1 is the first clip "
            f"(neither or both of {prefix}0 and {prefix}{TOTAL} have captions): {ADVICE}"
        )
    return {clip: number - first for clip, number in numbers.items()}


def _places(clips: Sequence[str], settings: MsvdSettings) -> list[str]:
    """The clips in an order by which they may be split, where neither numbers nor a mapping tell it.

    All 1,970 clips by their names VideoID_Start_End are ordered by code points, as the published mapping is. Another
    order is that of an annotation file which holds each clip once (.json, .pkl). A corpus holds its rows in an order
    that means nothing; that does no harm while all its clips go to train.

    Raises:
        PipelineError: if there is no such order.
    """
    named = all(CLIP_NAME.fullmatch(clip) for clip in clips)
    if named and len(clips) == TOTAL:
        return sorted(clips)
    files = settings.captions if isinstance(settings.captions, list) else [settings.captions]
    once = len(files) == 1 and files[0].suffix.lower() in (".json", *PICKLES) and not named
    if once or len(clips) <= SIZES["train"]:
        return list(clips)
    raise PipelineError(
        f"`splits: position`: the {len(clips):,} ids {shown(clips)} hold no number by which all could be ordered, and "
        f"their order in the captions means nothing: {ADVICE}"
    )


def read_mapping(path: Path | None) -> dict[str, str]:
    """Read the id of each clip name, in the order of the file; without a file there are none.

    Args:
        path: File whose lines hold a clip name, a space and an id.

    Raises:
        PipelineError: naming file and line, for another kind of line, or a name or an id that comes twice.
    """
    names: dict[str, str] = {}
    ids: set[str] = set()
    for number, line in read_lines(path, "mapping") if path is not None else ():
        place = f"{path}:{number}"
        pair = line.rsplit(maxsplit=1)
        if len(pair) != 2:
            raise PipelineError(f"{place}: expected a clip name and an id (`-4wsuPCjDBc_5_15 vid1`), found {line!r}")
        name, clip = (named_clip(part, place) for part in pair)
        if name in names or clip in ids:
            raise PipelineError(f"{place}: {name if name in names else clip} stands here for the second time")
        names[name] = clip
        ids.add(clip)
    return names


def _captions(path: Path) -> Iterator[tuple[str, object, str]]:
    """Read clip, caption and place (for messages) of every caption of a file."""
    match path.suffix.lower():
        case ".csv":
            yield from _csv_rows(path)
        case ".txt":
            yield from _text_lines(path)
        case ".json":
            yield from _json_lists(path)
        case suffix if suffix in PICKLES:
            yield from _pickled_lists(path)
        case _:
            raise PipelineError(
                f"`captions: {path}`: expected the corpus (.csv), AllVideoDescriptions.txt, or id -> captions (.json "
                "or .pkl)"
            )


def _csv_rows(path: Path) -> Iterator[tuple[str, object, str]]:
    num_rows = num_english = start = 0
    try:
        with require_file(path, "captions").open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            lacking = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if lacking:
                raise PipelineError(f"{path}:1: no column {', '.join(lacking)}: expected {', '.join(COLUMNS)}")
            if len(set(reader.fieldnames or ())) < len(reader.fieldnames or ()):
                raise PipelineError(f"{path}:1: a column stands twice: {', '.join(reader.fieldnames or ())}")
            start = reader.line_num + 1
            for row in reader:
                place, start = f"{path}:{start}", reader.line_num + 1
                num_rows += 1
                if any(row[name] is None for name in COLUMNS) or row["Description"].count("\n") > NUM_LINES:
                    raise PipelineError(f"{place}: a field is missing, or a quote is never closed")
                if row["Language"].strip().casefold() != "english":
                    continue
                num_english += 1
                if not is_null_text(row["Description"]):  # as the reference's pandas
                    times = [_whole(row[name], f"{place}: {name}") for name in ("Start", "End")]
                    yield "_".join([row["VideoID"].strip(), *times]), row["Description"], place
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path}: not UTF-8 ({error.reason}): save it as UTF-8") from error
    except csv.Error as error:
        raise PipelineError(f"{path}:{start}: no CSV ({error})") from error
    if num_rows and not num_english:
        raise PipelineError(f"{path}: none of {num_rows} rows has `English` in its column Language")


def _whole(text: str, place: str) -> str:
    """Write a number of seconds as clip names spell it; spreadsheets write 5.0 for 5."""
    match = re.fullmatch(r"(\d+)(\.0*)?", text.strip())
    if match is None:
        raise PipelineError(f"{place}: expected whole seconds, found {text!r}")
    return match[1]


def _text_lines(path: Path) -> Iterator[tuple[str, object, str]]:
    """Read lines of a clip name, a space and a caption, or of an id, a tab and a caption (S2VT's sents_*.txt).

    They may follow a head of other lines.
    """
    in_head = True
    for number, line in read_lines(path, "captions"):
        match = re.match(r"([^\s#]\S*)\t(.*)", line) or re.match(r"(.+?_\d+_\d+)\s+(.*)", line)
        if match:
            in_head = False
            yield match[1], match[2], f"{path}:{number}"
        elif not in_head and not line.startswith("#"):
            raise PipelineError(
                f"{path}:{number}: expected VideoID_Start_End and a caption, or an id, a tab and a caption, found "
                f"{line[:40]!r}"
            )


def _json_lists(path: Path) -> Iterator[tuple[str, object, str]]:
    content = load_json(path, "captions")
    if not isinstance(content, dict):
        raise PipelineError(f'{path}: expected {{"vid1": ["a caption", ...], ...}}')
    for clip, captions in content.items():
        if not isinstance(captions, list):
            raise PipelineError(f"{path}: {clip}: expected a list of captions")
        for caption in captions:
            yield clip, caption, f"{path}: {clip}"


def _pickled_lists(path: Path) -> Iterator[tuple[str, object, str]]:
    content = read_plain_pickle(require_file(path, "captions"))
    if not isinstance(content, dict):
        raise PipelineError(f'{path}: expected {{"vid1": [["a", "caption"], ...], ...}}, found a {_kind(content)}')
    num_words = 0
    for clip, captions in content.items():
        place = f"{path}: {named_clip(clip, str(path))}"
        if not isinstance(captions, list):
            raise PipelineError(f"{place}: expected a list of captions, found a {_kind(captions)}")
        for caption in captions:
            words = [caption] if isinstance(caption, str) else caption
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise PipelineError(f"{place}: expected captions that are lists of words, found a {_kind(caption)}")
            num_words += max(1, len(words))
            if num_words > NUM_WORDS:
                raise PipelineError(f"{place}: more than {NUM_WORDS:,} words so far: this is no caption file of MSVD")
            yield clip, " ".join(words), place


def _kind(value: object) -> str:
    return type(value).__name__

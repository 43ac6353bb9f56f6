"""Put clips in splits by lists of ids, one for each split.

A list is a text file of an id a line; a CSV or TSV file with a column of ids (`video_id`), as MSR-VTT's splits 9k, 7k
and 1k-A are published; or a JSON list of ids.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.datasets.annotated import Annotations, load_json, named_clip, read_lines, require_file
from pipeline.datasets.caption_rows import NAMES
from pipeline.datasets.text_tables import DELIMITERS, csv_rows
from pipeline.errors import PipelineError


def read_split_lists(paths: Mapping[str, Path | None], annotations: Annotations, names: Mapping[str, str]) -> None:
    """Put clips in splits, by files of ids. One file may be that of val and of test, as in 1k-A.

    Args:
        paths: File of each split; None for a split without one.
        annotations: Annotations that the splits are added to.
        names: Ids of clips, by another name that a list may call them by.

    Raises:
        PipelineError: naming file and line, for a line that is no id or a clip that is in two splits.
    """
    for split, path in paths.items():
        if path is None:
            continue
        shared = split == "test" and path == paths["val"]
        for place, name in _ids(path, f"splits.{split}"):
            clip = named_clip(name, place)
            annotations.assign(names.get(clip, clip), split, place, shared)


def _ids(path: Path, key: str) -> Iterator[tuple[str, object]]:
    """Ids of a list, each with its place."""
    require_file(path, key)
    suffix = path.suffix.lower()
    if suffix in DELIMITERS:
        for number, row in csv_rows(path, lambda header: _column(header) is not None, "a column `video_id`"):
            yield f"{path}:{number}", row[_column(list(row)) or ""]
    elif suffix == ".json":
        content = load_json(path, key)
        if not isinstance(content, list):
            raise PipelineError(f"{path}: expected a list of ids")
        for number, name in enumerate(content):
            yield f"{path}: item[{number}]", name
    else:
        for number, line in read_lines(path, key):
            yield f"{path}:{number}", line


def _column(header: list[str]) -> str | None:
    """The column of ids, by the name that captions give it, too."""
    return next((name for known in NAMES["video"] for name in header if name.casefold() == known), None)

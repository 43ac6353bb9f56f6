"""Find the videos that the rows of a table name, and the splits that they are in."""

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from pipeline.datasets.extensions import file_stem
from pipeline.datasets.near_names import nearest
from pipeline.errors import PipelineError

NUM_SHOWN = 5  # mistakes of one kind that a message spells out


class Named(Protocol):
    """A row of a table."""

    @property
    def video(self) -> str:
        """The video that it names."""

    @property
    def split(self) -> str | None:
        """The split that it names, if any."""

    @property
    def place(self) -> str:
        """Where it stands, "file:line"."""


def resolve(
    annotations: Sequence[Named], ids: Collection[str], files: Mapping[str, str], told_by: str
) -> tuple[dict[str, str], list[str]]:
    """Find the id of the video behind every name that a table uses; a name of none is its own.

    Args:
        annotations: The rows of the table.
        ids: The ids of all the videos.
        files: Path of the file of every video whose id is not its path.
        told_by: Beginning of messages, such as "captions.csv has captions".

    Returns:
        The ids by name, and notes about names of videos that are not there.

    Raises:
        PipelineError: naming file and line, for a name of several videos; or if no row names a video that is there.
    """
    by_name: dict[str, list[str]] = {}
    for video_id in ids:
        file = files.get(video_id, video_id)
        names = {file, os.path.basename(file)}  # noqa: PTH119
        names |= {file_stem(name) for name in names}
        for name in names - {video_id}:
            by_name.setdefault(name, []).append(video_id)
    exact = set(ids)
    resolved: dict[str, str] = {}
    unknown: dict[str, str] = {}
    for annotation in annotations:
        name = annotation.video
        fitting = [name] if name in exact else by_name.get(name, [])
        if len(fitting) > 1:
            raise PipelineError(
                f"{annotation.place}: {name} may be {' or '.join(sorted(fitting)[:NUM_SHOWN])}: name one"
            )
        if not fitting:
            unknown.setdefault(name, annotation.place)
        resolved[name] = fitting[0] if fitting else name
    if not unknown:
        return resolved, []
    known = {video_id: video_id for video_id in ids} | {name: fitting[0] for name, fitting in by_name.items()}
    told = [_unknown(name, place, known) for name, place in list(unknown.items())[:NUM_SHOWN]]
    more = f"; and {len(unknown) - NUM_SHOWN} more" if len(unknown) > NUM_SHOWN else ""
    note = f"{told_by} of {len(unknown)} unknown videos: {'; '.join(told)}{more}"
    if len(unknown) == len(resolved):
        raise PipelineError(f"{note}: no row names a video that is there")
    return resolved, [note]


def _unknown(name: str, place: str, known: Mapping[str, str]) -> str:
    near = nearest(name, known)
    return f"{name} (line {place.rpartition(':')[2]}{f', did you mean {known[near]}?' if near else ''})"


def splits_of(annotations: Sequence[Named], resolved: Mapping[str, str]) -> dict[str, str]:
    """Split of each video, where a table names splits; nothing where it names none.

    A video in two splits is refused, because it would be tested on what it was trained on. So is a file that names a
    split for some videos only, because it leaves open what the others are for.

    Args:
        annotations: The rows of the table.
        resolved: Ids of the videos by the names that the rows have.

    Raises:
        PipelineError: naming file and line, for either.
    """
    named: dict[str, Named] = {}
    for annotation in annotations:
        video_id = resolved[annotation.video]
        first = named.setdefault(video_id, annotation)
        if first.split != annotation.split:
            raise PipelineError(
                f"{annotation.place}: {video_id} is in split {annotation.split or '(none)'} here and in "
                f"{first.split or '(none)'} at {first.place}: every line of a video names the same"
            )
    without = [annotation for annotation in named.values() if annotation.split is None]
    if without and len(without) < len(named):
        raise PipelineError(
            f"{without[0].place}: {without[0].video} is in no split, other videos are: name the split of all or of none"
        )
    return {video_id: annotation.split for video_id, annotation in named.items() if annotation.split is not None}

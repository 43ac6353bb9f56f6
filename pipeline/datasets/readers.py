"""Choose the module that reads a data set, by the kind of the data set.

The digest of a stage's code (`pipeline.workflow.code_digest`) counts the reader that is chosen and not this module, so
that a new kind of data set re-runs nothing.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline.config import (
    ClipForm,
    CocoCaptionsSettings,
    DatasetSettings,
    DenseCaptionsSettings,
    FolderSettings,
    MsrvttSettings,
    MsvdSettings,
    ShapesSettings,
    VatexSettings,
)
from pipeline.datasets import (
    annotated,
    coco_captions,
    dense_captions,
    epic_kitchens,
    folder,
    hmdb51,
    kinetics,
    labelled_list,
    msrvtt,
    msvd,
    something_something,
    ucf101,
    vatex,
)
from pipeline.datasets.annotated import FoundClips
from pipeline.datasets.frame_folders import FrameFolder
from pipeline.datasets.listing import Video
from pipeline.datasets.sharding import shard_of
from pipeline.errors import PipelineError

# Kinds whose clips always have labels; those of a `folder` may have some.
LABELLED = (
    "shapes",
    "sync_mnist",
    "something_something",
    "labelled_list",
    "ucf101",
    "hmdb51",
    "kinetics",
    "epic_kitchens",
)
NO_FORM = ClipForm(frames=None, separator=None, num_labels=None)


def list_videos(
    kind: str, source: Path, mapping: Path | None, intervals: Sequence[Path] = (), form: ClipForm | None = None
) -> list[Video]:
    """List the videos that the user brings, sorted by id. No video is opened: names and sizes are enough.

    Args:
        kind: Kind of the data set.
        source: Folder or list file of its videos.
        mapping: File that maps names of clips to ids (`msvd`); None where there is none.
        intervals: Files that name the clips (`dense_captions`, `labelled_list`, `epic_kitchens`).
        form: How files of frames and lists of clips are written, where that is needed.

    Raises:
        PipelineError: if the videos cannot be listed, or the user brings none to this kind.
    """
    match kind:
        case "folder":
            return folder.list_videos(source)
        case "msvd":
            return msvd.list_videos(source, mapping)
        case "msrvtt":
            return msrvtt.list_videos(source)
        case "vatex":
            return vatex.list_videos(source)
        case "coco_captions":
            return coco_captions.list_videos(source)
        case "dense_captions":
            return dense_captions.list_videos(source, intervals)
        case "something_something":
            return something_something.list_videos(source, (form or NO_FORM).frames)
        case "labelled_list":
            return labelled_list.list_videos(source, intervals, form or NO_FORM)
        case "ucf101":
            return ucf101.list_videos(source)
        case "hmdb51":
            return hmdb51.list_videos(source)
        case "kinetics":
            return kinetics.list_videos(source)
        case "epic_kitchens":
            return epic_kitchens.list_videos(source, intervals, form or NO_FORM)
    raise PipelineError(f"a data set of kind {kind} has no folder of videos")


def read_made(made: Path) -> list[dict[str, Any]]:
    """Read the list of one shard's videos that a stage has generated (`shapes`), sorted by id.

    Args:
        made: The list's file.

    Raises:
        PipelineError: if the list or a video of it is missing.
    """
    from pipeline.datasets.shapes.made import read_list  # it reads artifacts, and the Snakefile must stay light

    return read_list(made)


def listing_digests(videos: Sequence[Video], shards: int) -> list[str]:
    """Digest of the names, sizes and parts of each shard's videos; when it changes, `index_videos` re-runs.

    Args:
        videos: All the videos of the data set, sorted by id.
        shards: Number of shards.
    """
    lines: list[list[str]] = [[] for _ in range(shards)]
    for video in videos:
        part: list[Any] = [] if video.interval is None else [video.interval.start, video.interval.stop]
        if isinstance(video, FrameFolder):
            part = [video.frames.as_json(), video.lacking]
        lines[shard_of(video.id, shards)].append(json.dumps([video.id, video.path, video.size, *part]))
    return [hashlib.sha256("\n".join(shard).encode()).hexdigest()[:16] for shard in lines]


def read_captions(
    settings: DatasetSettings,
    ids: Collection[str],
    made: Sequence[Path] = (),
    cut_from: Mapping[str, Path] = MappingProxyType({}),
) -> FoundClips:
    """Read the captions and splits of a data set.

    Args:
        settings: Settings of the data set.
        ids: Ids of all the videos that are there.
        made: Lists of the generated videos, one for each shard; empty where the user brings the videos.
        cut_from: The file of every clip that is an interval, by the clip's id.

    Raises:
        PipelineError: if captions or splits cannot be read or do not fit the videos.
    """
    match settings:
        case ShapesSettings():
            from pipeline.datasets.shapes.made import read_captions as read_made_captions

            return FoundClips.of_all(*read_made_captions(made))
        case FolderSettings():
            return folder.read_captions(settings, ids, cut_from)
    files = annotation_files(settings.model_dump(mode="json"))
    match settings:
        case MsvdSettings():
            hint = "" if settings.mapping else "; or name a `mapping` between the two"
            return annotated.find_clips(msvd.read_annotations(settings), ids, hint, files)
        case MsrvttSettings():
            return annotated.find_clips(msrvtt.read_annotations(settings), ids, files=files)
        case VatexSettings():
            hint = ", which is the clip's videoID with its seconds (`<videoID>.mp4`)"
            return annotated.find_clips(vatex.read_annotations(settings), ids, hint, files)
        case CocoCaptionsSettings():
            return annotated.find_clips(coco_captions.read_annotations(settings), ids, files=files)
        case DenseCaptionsSettings():
            return annotated.find_clips(dense_captions.read_annotations(settings), ids, files=files)
    raise PipelineError(f"a data set of kind {settings.kind} has labels and no captions")


def annotation_files(dataset: dict[str, Any]) -> list[str]:
    """Paths of the files with captions, ids and splits that the settings of a data set name, sorted.

    Args:
        dataset: Settings of the data set, as JSON gives them.
    """
    if "captions" not in dataset or dataset["kind"] == "shapes":
        return []
    named: list[Any] = [dataset["captions"], dataset.get("mapping")]
    named += [] if dataset["kind"] == "folder" else [dataset.get("splits")]  # the splits of a folder are shares
    return _paths(named)


def _paths(named: Sequence[Any]) -> list[str]:
    """The paths among some settings, each of which may be a list or an object of several, sorted."""
    found: list[Any] = []
    for value in named:
        found += value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return sorted({path for path in found if isinstance(path, str) and path not in ("position", "file", "folders")})


def label_files(dataset: dict[str, Any]) -> list[str]:
    """Paths of the files with labels, classes and splits that the settings of a data set name, sorted.

    Args:
        dataset: Settings of the data set, as JSON gives them.
    """
    match dataset["kind"]:
        case "something_something":
            found = something_something.label_files(Path(dataset["annotations"]), dataset["version"])
        case "ucf101":
            found = ucf101.label_files(Path(dataset["annotations"]), dataset["split"])
        case "hmdb51":
            found = hmdb51.label_files(Path(dataset["annotations"]), dataset["split"])
        case "folder":  # captions may say in which splits videos are
            return _paths([dataset["labels"], dataset["captions"]])
        case _:
            return _paths([dataset.get(key) for key in ("annotations", "classes")])
    return sorted(str(path) for path in found)


def mapping_files(dataset: dict[str, Any]) -> list[str]:
    """Paths of the files that say which clips there are: their ids (`msvd`), intervals (`dense_captions`) or paths.

    Args:
        dataset: Settings of the data set, as JSON gives them.
    """
    if dataset["kind"] == "dense_captions":
        return annotation_files(dataset)
    if dataset["kind"] in ("labelled_list", "epic_kitchens"):
        return _paths([dataset["annotations"]])
    return [dataset["mapping"]] if dataset.get("mapping") else []


def why_unlabelled(dataset: dict[str, Any]) -> str | None:
    """Why a data set has no labels, as a message; None if it has some.

    Args:
        dataset: Settings of the data set, as JSON gives them.
    """
    kind = dataset["kind"]
    if kind in LABELLED or dataset.get("labels"):
        return None
    if kind == "folder":
        return (
            "`labels` is null, so its videos have none: name a table of `video,label`, or write `labels: folders`, and "
            "a video's folder is its class"
        )
    return f"a data set of kind {kind} has no labels: kinds with labels are folder, {', '.join(LABELLED)}"


def clip_form(dataset: dict[str, Any]) -> ClipForm:
    """How files of frames and lists of clips are written.

    Args:
        dataset: Settings of the data set, as JSON gives them.
    """
    match dataset["kind"]:
        case "something_something":
            frames = something_something.FRAMES if dataset["version"] == 1 else None
            return ClipForm(frames=frames, separator=None, num_labels=None)
        case "labelled_list":
            form, num_labels = dataset["frames"], len(dataset["heads"])
            return ClipForm(frames=form, separator=dataset["separator"], num_labels=num_labels)
        case "epic_kitchens":
            return ClipForm(frames=dataset["frames"], separator=None, num_labels=None)
    return NO_FORM

"""The data set `vatex` (Wang et al., ICCV 2019): a JSON list a split, ten English captions a clip.

The clip's file is called as its `videoID` (YouTube's id and the six-digit seconds of start and end). The largest file
has some 60 MB and is read as a whole.
"""

from pathlib import Path

from pipeline.config import VatexSettings
from pipeline.datasets.annotated import Annotations, clip_id, list_clips, load_json, records
from pipeline.datasets.listing import Video
from pipeline.errors import PipelineError


def list_videos(source: Path) -> list[Video]:
    """Videos by id, the file's name.

    Raises:
        PipelineError: if the folder cannot be read, or two files are one clip.
    """
    return list_clips(source)


def read_annotations(settings: VatexSettings) -> Annotations:
    """English captions, and splits by the file a clip stands in.

    Raises:
        PipelineError: naming file and item of what cannot be read.
    """
    annotations = Annotations()
    for split, path in settings.captions.model_dump().items():
        if path is None:
            continue
        for place, item in records(load_json(path, f"captions.{split}"), None, ["videoID", "enCap"], path):
            clip = clip_id(item["videoID"], place)
            annotations.assign(clip, split, place)
            if not isinstance(item["enCap"], list):
                raise PipelineError(f"{place}: `enCap` must be a list of captions")
            for caption in item["enCap"]:
                annotations.add(clip, caption, place)
    return annotations

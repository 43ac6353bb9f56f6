"""The data set `vatex` (Wang et al., ICCV 2019): clips with ten English and ten Chinese captions each, in JSON lists.

There is a list for each split. A clip's id, and the name of its file, is its `videoID` (YouTube's id and the six-digit
seconds of start and end). The largest list has some 60 MB and is read as a whole. Clips of the private test have no
captions.
"""

from pathlib import Path

from pipeline.config import VatexSettings
from pipeline.datasets.annotated import Annotations, list_clips, load_json, named_clip, records
from pipeline.datasets.listing import Video
from pipeline.errors import PipelineError

CAPTIONS = {"en": "enCap", "zh": "chCap"}


def list_videos(source: Path) -> list[Video]:
    """List the videos by id, which is the file's name without extension.

    Raises:
        PipelineError: if the folder cannot be read, or two files have one id.
    """
    return list_clips(source)


def read_annotations(settings: VatexSettings) -> Annotations:
    """Read the captions of one language, and the splits; a clip's split is that of the list it stands in.

    Raises:
        PipelineError: naming the file and the item that cannot be read.
    """
    annotations = Annotations()
    key = CAPTIONS[settings.language]
    for split, path in settings.captions.model_dump().items():
        if path is None:
            continue
        needed = ["videoID"] if split == "test" else ["videoID", key]  # the private test has none
        for place, item in records(load_json(path, f"captions.{split}"), None, needed, path):
            clip = named_clip(item["videoID"], place)
            annotations.assign(clip, split, place)
            captions = item.get(key, [])
            if not isinstance(captions, list):
                raise PipelineError(f"{place}: `{key}` must be a list of captions")
            for caption in captions:
                annotations.add(clip, caption, place)
    return annotations

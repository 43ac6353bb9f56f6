"""The data set `hmdb51` (Kuehne et al., ICCV 2011): 51 actions, in three splits into training and test.

Files `<class>_test_split1.txt` have lines of a video and what it is for: 1 training, 2 test, 0 nothing. A clip's name
tells the film it was cut from and its class, so validation takes all the clips of a film and class.
"""

from pathlib import Path

from pipeline.config import Hmdb51Settings
from pipeline.datasets.annotated import list_clips, named_clip
from pipeline.datasets.label_files import label_lines
from pipeline.datasets.label_splits import cut_validation
from pipeline.datasets.labelled import HEAD, Labelling
from pipeline.datasets.listing import Video
from pipeline.errors import PipelineError

SPLITS = {"0": None, "1": "train", "2": "test"}
KEY = "annotations"


def list_videos(source: Path) -> list[Video]:
    """List the videos by id, which is the file's name without extension.

    Raises:
        PipelineError: if the folder cannot be read, or two files have one id.
    """
    return list_clips(source)


def label_files(annotations: Path, split: int) -> list[Path]:
    """The files that labels are read from, one a class, sorted by the class."""
    return sorted(annotations.glob(f"*{_end(split)}"))


def read_labels(settings: Hmdb51Settings) -> Labelling:
    """Read the classes, which are those that have a file, in alphabetical order, and the clips of each.

    Raises:
        PipelineError: if there is no file, or naming file and line of what cannot be read.
    """
    paths = label_files(settings.annotations, settings.split)
    if not paths:
        raise PipelineError(f"`{KEY}: {settings.annotations}`: there is no `CLASS{_end(settings.split)}` in it")
    labelling = Labelling({HEAD: [path.name.removesuffix(_end(settings.split)) for path in paths]})
    unused = 0
    for number, (name, path) in enumerate(zip(labelling.heads[HEAD], paths, strict=True)):
        for place, line in label_lines(path, KEY, "`name.avi 1`"):
            file, _, what = line.rpartition(" ")
            if what not in SPLITS or not file.strip():
                raise PipelineError(f"{place}: expected a video and 0, 1 or 2, found {line!r:.100}")
            split = SPLITS[what]
            if split is None:
                unused += 1
                continue
            clip = named_clip(file, place)
            film, is_named, _ = clip.rpartition(f"_{name}_")
            labelling.add(clip, [number], split, place, f"{film} {name}" if is_named else None)
    cut_validation(labelling, settings.val)
    if unused:
        labelling.notes.append(f"{unused} clips are in no part of split {settings.split}, as published")
    return labelling


def _end(split: int) -> str:
    return f"_test_split{split}.txt"

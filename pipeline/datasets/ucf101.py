"""The data set `ucf101` (Soomro et al., 2012): 13,320 clips of 101 actions, in three splits into training and test.

`classInd.txt` has lines of `1 ApplyEyeMakeup`; `trainlist01.txt` lines of `ApplyEyeMakeup/v_..._g08_c01.avi 1`;
`testlist01.txt` paths alone. All clips of one group (`g08`) are cut from one video, so validation takes whole groups.
"""

import re
from pathlib import Path

from pipeline.config import Ucf101Settings
from pipeline.datasets.annotated import list_clips, named_file
from pipeline.datasets.label_files import existing, found_files, label_lines, numbers_of, read_class_names, whole_number
from pipeline.datasets.label_splits import cut_validation
from pipeline.datasets.labelled import HEAD, Labelling, class_number
from pipeline.datasets.listing import Video
from pipeline.errors import PipelineError

CLASSES = "classInd.txt"
GROUP = re.compile(r"v_(.+_g\d+)_c\d+")
KEY = "annotations"


def list_videos(source: Path) -> list[Video]:
    """List the videos by id, which is the file's name without extension.

    Raises:
        PipelineError: if the folder cannot be read, or two files have one id.
    """
    return list_clips(source)


def label_files(annotations: Path, split: int) -> list[Path]:
    """The files that labels are read from, as far as they are there."""
    return found_files(annotations, [CLASSES, f"trainlist0{split}.txt", f"testlist0{split}.txt"])


def read_labels(settings: Ucf101Settings) -> Labelling:
    """Read the classes, and the label, group and split of each clip.

    Raises:
        PipelineError: naming file and line of what cannot be read, or where a clip's folder and number are two classes.
    """
    path = existing(settings.annotations, [CLASSES], KEY)
    names = read_class_names(path, KEY)
    numbers = numbers_of(names)
    labelling = Labelling({HEAD: names})
    for split in ("train", "test"):
        of_split = existing(settings.annotations, [f"{split}list0{settings.split}.txt"], KEY)
        for place, line in label_lines(of_split, KEY, "`Class/v_Class_g01_c01.avi 1`"):
            file, _, told = line.partition(" ")
            folder = file.rpartition("/")[0]
            number = class_number(folder, numbers, place, CLASSES)
            if told and whole_number(told, "the label", place) != number + 1:
                raise PipelineError(
                    f"{place}: the label is {told.strip()}, but {folder} is number {number + 1} of {CLASSES}: the "
                    "files are of different releases"
                )
            clip = named_file(file, place)
            found = GROUP.fullmatch(clip)
            labelling.add(clip, [number], split, place, found[1] if found else None)
    cut_validation(labelling, settings.val)
    return labelling

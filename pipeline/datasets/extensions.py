"""Names of files without their extensions, where a dot may as well be a part of the name (`q_1_4.5`)."""

import os

from pipeline.datasets.listing import EXTENSIONS


def file_stem(name: str) -> str:
    """Name or path of a video file without its extension; of an extension that no video has, everything stays."""
    stem, extension = os.path.splitext(name)  # noqa: PTH122, much faster
    return stem if extension.lower() in EXTENSIONS else name


def without_extension(name: str) -> str:
    """What annotations call a clip, without the extension of its file if they give one.

    A number behind a dot is a part of the name here, although files of raw streams may be called `clip.264`.
    """
    return name if name.rpartition(".")[2].isdigit() else file_stem(name)

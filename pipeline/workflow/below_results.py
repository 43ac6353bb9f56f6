"""Paths of files below the results, as the settings of an experiment name them."""

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator


def _stays_below(path: str) -> str:
    """Check that a path stays below the results, because the settings of an experiment may be a stranger's."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or not path.isprintable():
        raise ValueError("expected the path of a file below the results")
    return path


Below = Annotated[str, AfterValidator(_stays_below)]


def below_results(path: str) -> str:
    """A path of the workflow, such as `results/encoders/i3d/weights.safetensors`, without its first part."""
    return PurePosixPath(*PurePosixPath(path).parts[1:]).as_posix()

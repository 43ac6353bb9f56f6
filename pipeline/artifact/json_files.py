"""Write JSON artifacts, and read them with a check that they hold what their stage writes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.artifact.json_shapes import problem_of
from pipeline.errors import ArtifactError, DamagedError, OutdatedError
from pipeline.jobs.storage import replaced


def write_json(path: Path, content: Any) -> None:
    """Write a JSON artifact: sorted keys, one item a line, renamed into place when complete."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    with replaced(path) as new:
        new.write_text(text, encoding="utf-8")


def read_json(path: Path, keys: Sequence[str], stage: str) -> dict[str, Any]:
    """Read a JSON artifact.

    Args:
        path: The file.
        keys: Keys that its top level must have.
        stage: The stage that makes it.

    Raises:
        ArtifactError: if it is missing or no JSON, lacks a key, or holds what that stage does not write.
    """
    try:
        return check_json(path, keys, stage)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} does not exist: run {stage} (snakemake {path})") from error
    except (DamagedError, OutdatedError) as error:
        raise ArtifactError(f"{path} {error}: delete it and run {stage} again (snakemake {path})") from error


def check_json(path: Path, keys: Sequence[str], stage: str) -> dict[str, Any]:
    """Read a JSON artifact; the errors say what is wrong without the path and without what to do.

    Args:
        path: The file.
        keys: Keys that its top level must have.
        stage: The stage that makes it.

    Raises:
        DamagedError: if it is no JSON, or holds what that stage does not write.
        OutdatedError: if it lacks a key.
        OSError: if it cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"is no JSON ({error})") from error
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:  # an earlier version of the stage wrote it
        raise OutdatedError(f"lacks {', '.join(missing)}")
    problem = problem_of(content, stage)
    if problem is not None:
        raise DamagedError(f"holds what no stage writes: {problem}")
    return dict(content)

"""JSON artifacts: sorted keys, one item a line; read with what their stage writes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.artifact.json_shapes import problem_of
from pipeline.errors import ArtifactError
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
        keys: What it must hold at its top.
        stage: The stage that makes it.

    Raises:
        ArtifactError: if it is missing, no JSON, lacks a key, or holds what that stage does not write.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} does not exist: run {stage} (snakemake {path})") from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{path} is no JSON ({error}): delete it and run {stage} again (snakemake {path})"
        ) from error
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:
        raise ArtifactError(f"{path} lacks {', '.join(missing)}: delete it and run {stage} again (snakemake {path})")
    problem = problem_of(content, stage)
    if problem is not None:
        raise ArtifactError(f"{path}: {problem}: delete it and run {stage} again (snakemake {path})")
    return dict(content)

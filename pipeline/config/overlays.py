"""Read config.yaml with overlays laid over it, for commands that Snakemake does not start."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

from pipeline.config import Config, validate
from pipeline.config.plain import require_plain
from pipeline.errors import PipelineError


def read_config(files: Sequence[Path]) -> Config:
    """Read a configuration as Snakemake does, by its own function: mappings are joined, other values replaced.

    Args:
        files: The configuration, then the overlays in the order in which they are laid over it.

    Raises:
        PipelineError: if a file cannot be read, or the merged configuration is not valid.
    """
    merged: dict[str, Any] = {}
    for file in files:
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except (OSError, ValueError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise PipelineError(f"{file} cannot be read as a configuration ({reason}): expected YAML") from error
        if not isinstance(content, Mapping):
            raise PipelineError(f"{file}: expected sections of settings")
        require_plain(content)  # before it is walked through: aliases may stand for gigabytes
        update_config(merged, content)
    return validate(merged)

"""Values of Snakemake's `--config`, read as a configuration file reads them.

Of `--config 'nodes={grid: {overlap: 0.25}}'` Snakemake makes mappings and lists whose values are texts, `'0.25'` here.
"""

from collections.abc import Mapping
from typing import Any

import yaml


def as_in_a_file(config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Read the texts that came from the command line as numbers, true, false and null, where a file has these.

    Args:
        config: The configuration, in which what was given lies already.
        given: What `--config` gave, as Snakemake parsed it.

    Returns:
        The configuration with these values read; all others, texts of files among them, are as they were.
    """
    read = dict(config)
    for key, value in given.items():
        inside = config.get(key)
        if isinstance(value, Mapping) and isinstance(inside, Mapping):
            read[key] = as_in_a_file(inside, value)
        elif inside == value:
            read[key] = _read(value)
    return read


def _read(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _read(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_read(inner) for inner in value]
    if not isinstance(value, str):
        return value
    try:
        scalar = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    return scalar if scalar is None or isinstance(scalar, bool | int | float) else value

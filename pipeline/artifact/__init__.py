"""Artifacts: how they are written, resumed, read and checked.

These names are what other programs, and most stages, need of this package.
"""

from pipeline.artifact.json_files import read_json, write_json
from pipeline.artifact.reading import Artifact, file_digest, read, store_path
from pipeline.artifact.writing import create
from pipeline.errors import ArtifactError

__all__ = [
    "Artifact",
    "ArtifactError",
    "create",
    "file_digest",
    "read",
    "read_json",
    "store_path",
    "write_json",
]

"""What an artifact was made from: the digest of each input, and its path below the folder of results.

Every artifact that says so says it in one shape: a store in its provenance, captions in their JSON, an embedding in the
metadata of its file. A path is never absolute: results may be moved, and may be shown to others.
"""

from collections.abc import Mapping
from pathlib import Path

from pipeline.artifact.reading import file_digest
from pipeline.workflow.paths import path_below_results


def record_inputs(inputs: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """The `digest` and the `path` of each input, in alphabetical order of the names.

    Args:
        inputs: Artifacts and files by what they are to the stage, such as `frames`; a store by its folder or its
            `zarr.json`. A file that is no artifact of the workflow, such as a user's own, is recorded by its name.
    """
    return {
        name: {"digest": file_digest(path), "path": path_below_results(path)} for name, path in sorted(inputs.items())
    }

"""What an artifact was made from: the digest of each input, and its path below the folder of results.

All artifacts that record their inputs do it in this form: a store in its provenance, captions in their JSON, an
embedding in the metadata of its file. A path is never absolute: results may be moved, and may be shown to others.
"""

from collections.abc import Mapping
from pathlib import Path

from pipeline.artifact.reading import file_digest
from pipeline.workflow.paths import path_below_results


def record_inputs(inputs: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """Compute the `digest` and the `path` of each input, in alphabetical order of the names.

    Args:
        inputs: Paths of artifacts and files, by what they are to the stage, such as `frames`. A store's path is its
            folder or its `zarr.json`. Of a file that the workflow does not make, such as a user's own, the name alone
            is recorded.
    """
    return {
        name: {"digest": file_digest(path), "path": path_below_results(path)} for name, path in sorted(inputs.items())
    }

"""The labels of `sync_mnist`, as `make_sync_mnist` wrote them: one list for each shard."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.artifact import read_json
from pipeline.datasets.labelled import HEAD, Labelling
from pipeline.errors import PipelineError


def read_labels(made: Sequence[Path]) -> Labelling:
    """Read which digits move alike in each clip. A mirrored digit is none, so clips are not mirrored.

    Args:
        made: The lists of all shards.

    Raises:
        PipelineError: if a list is missing, or one has other classes than another.
    """
    labelling: Labelling | None = None
    for path in made:
        content = read_json(path, ["videos", "classes"], "make_sync_mnist")
        if labelling is None:
            labelling = Labelling({HEAD: content["classes"]}, may_mirror=False)
        elif content["classes"] != labelling.heads[HEAD]:
            raise PipelineError(f"{path}: its classes are not those of {made[0]}: delete both and make them again")
        for video in content["videos"]:
            labelling.add(video["id"], [video["label"]], video["split"], str(path))
    if labelling is None:
        raise PipelineError("sync_mnist: there is no list of generated clips")
    return labelling

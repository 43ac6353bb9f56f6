"""The labels of `shapes`: what the first object of a clip does, one of the actions of the settings."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.artifact import read_json
from pipeline.datasets.labelled import HEAD, Labelling
from pipeline.datasets.shapes.made import read_list
from pipeline.errors import PipelineError


def read_labels(actions: Sequence[str], made: Sequence[Path], truths: Sequence[Path]) -> Labelling:
    """Read the action of the first object of each clip, which is the one that captions tell of first.

    Args:
        actions: Actions of the settings, which are the classes in their order.
        made: The lists of all shards.
        truths: The truth of all shards, in the same order.

    Raises:
        PipelineError: if a list does not fit its truth or the settings.
    """
    labelling = Labelling({HEAD: list(actions)})
    for path, truth in zip(made, truths, strict=True):
        known = read_json(truth, ["videos"], "make_shapes")["videos"]
        for video in read_list(path):
            try:
                number = actions.index(known[video["id"]]["objects"][0]["action"])
            except (LookupError, TypeError, ValueError) as error:
                raise PipelineError(
                    f"{truth}: it tells no action of the settings for {video['id']}: delete it and run make_shapes "
                    f"again (snakemake {truth})"
                ) from error
            labelling.add(video["id"], [number], video["split"], str(path))
    return labelling

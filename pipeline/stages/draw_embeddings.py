"""Draw what the head of a recognizer sees of the clips of a split: a point for each clip, coloured by class or group.

The points lie in the plane of the first two principal components, which is computed alike everywhere and has no
settings to tune.
"""

from pathlib import Path

import numpy as np

from pipeline.artifact import read
from pipeline.artifact.all_shards import AllShards
from pipeline.config import PartSettings
from pipeline.errors import PipelineError
from pipeline.recognition.labels import read_labels
from pipeline.recognition.parts import labels_of_part, read_part
from pipeline.report.vectors import draw_vectors
from pipeline.schemas import FEATURES


def run(
    *, features: list[Path], labels: Path, groups: list[Path], out: Path, split: str, part: PartSettings | None
) -> None:
    """Draw the vectors of the clips of a split.

    Args:
        features: Features that the recognizer has stored of the clips, of all shards; their mean over time is drawn.
        labels: The data set's labels.json: classes, labels and splits.
        groups: The groups of the classes that a part of TSTL is of; nothing for the whole.
        out: Where the picture goes (PNG).
        split: The split: train, val or test.
        part: The part of TSTL that the recognizer is: the clips of a selector are coloured by group, and those of an
            expert are the clips of its group; null for the whole.

    Raises:
        PipelineError: No clip of the split has features.
    """
    whole = read_labels(labels)
    known = labels_of_part(whole, read_part(part, groups, whole))
    stored = AllShards([read(path, FEATURES) for path in features], ["x"])
    there = set(stored.ids)
    ids = [clip_id for clip_id in known.split(split) if clip_id in there]
    if not ids:
        raise PipelineError(f"{labels}: no clip of split '{split}' has features: check the clips that failed")
    x_CD = np.stack([stored.video(clip_id)["x"].astype(np.float32).mean(0) for clip_id in ids])
    names = next(iter(known.heads.values()))
    draw_vectors(x_CD, [known.index.labels[clip_id][0] for clip_id in ids], names, out)
    print(f"{len(ids)} clips of split {split}, vectors of {x_CD.shape[1]} numbers")

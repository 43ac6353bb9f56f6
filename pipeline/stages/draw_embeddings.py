"""Draw what the head of a recognizer sees of the clips of a split: a point for each clip, coloured by class or group.

The points lie in the plane of the first two principal components, which is computed alike everywhere and has no
settings to tune. Only the clips that are drawn are shown to the recognizer.

Shapes: C clips, D features.
"""

from pathlib import Path

import numpy as np
import torch

from pipeline.artifact.clip_store import ClipStore
from pipeline.config import PartSettings, ViewSettings
from pipeline.errors import PipelineError
from pipeline.recognition.labels import read_labels, require_same_classes
from pipeline.recognition.parts import labels_of_part, read_part
from pipeline.recognition.trained import read_trained
from pipeline.recognition.vectors import Vectors
from pipeline.report.vectors import draw_vectors


def run(
    *,
    clips: list[Path],
    labels: Path,
    groups: list[Path],
    model: Path,
    experts: list[Path],
    out: Path,
    split: str,
    settings: ViewSettings,
    part: PartSettings | None,
    threads: int,
) -> None:
    """Draw the vectors of the clips of a split.

    Args:
        clips: Frames of the data set's clips, of all its shards.
        labels: The data set's labels.json: classes, labels and splits.
        groups: The groups of the classes that a part of TSTL is of; nothing for the whole.
        model: The trained recognizer (safetensors). The mean over time is drawn of what its heads see of one view.
        experts: The files of the spatial and the temporal expert of a cast recognizer; nothing for others.
        out: Where the picture goes (PNG).
        split: The split: train, val or test.
        settings: The views of a clip, for the size of their squares.
        part: The part of TSTL that the recognizer is: the clips of a selector are coloured by group, and those of an
            expert are the clips of its group; null for the whole.
        threads: CPU threads of the recognizer.

    Raises:
        PipelineError: No clip of the split has frames, or the model is no recognizer of frames with these classes.
    """
    torch.set_num_threads(threads)
    whole = read_labels(labels)
    known = labels_of_part(whole, read_part(part, groups, whole))
    store, trained = ClipStore(clips), read_trained(model, experts)
    require_same_classes(trained.heads, known, model)
    there = set(store.ids)
    ids = [clip_id for clip_id in known.split(split) if clip_id in there]
    if not ids:
        raise PipelineError(f"{labels}: no clip of split '{split}' has frames: check the clips that failed")
    x_CD = np.stack([x_TD.mean(0) for x_TD in Vectors(store, trained, settings).read(ids)])
    names = next(iter(known.heads.values()))
    draw_vectors(x_CD, [known.index.labels[clip_id][0] for clip_id in ids], names, out)
    print(f"{len(ids)} clips of split {split}, vectors of {x_CD.shape[1]} numbers")

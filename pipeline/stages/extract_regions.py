"""Extract where the graph modules of a recognizer look, and measure how near that is to the objects of generated clips.

The regions of some clips of a split are kept, for the report to draw. Where the boxes of objects are known, distances
are measured over all clips of the split, beside those of regions that do not look: a fixed grid, and all in the centre.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.artifact import create, write_json
from pipeline.artifact.clip_store import ClipStore
from pipeline.artifact.each_video import Rows, each_video
from pipeline.config import ViewSettings
from pipeline.datasets.object_boxes import BoxesOfFrame, object_boxes
from pipeline.errors import PipelineError
from pipeline.jobs.progress import track
from pipeline.models.precision import compute_device
from pipeline.recognition.labels import read_labels, require_same_classes
from pipeline.recognition.looks import Boxes, Look, baselines, looks, of_frame, square_shares
from pipeline.recognition.model_file import read_recognizer
from pipeline.recognition.trained import is_cast
from pipeline.schemas import REGIONS
from pipeline.scoring.bootstrap import estimate
from pipeline.scoring.localisation import Nearness, clip_nearness
from pipeline.workflow.shown import spread

RESAMPLES = 1000  # of the clips, for the intervals in the file of scores
Found = dict[str, dict[str, dict[str, Any]]]  # place, whose regions, clip: the clip's numbers

log = logging.getLogger(__name__)


def run(
    *,
    clips: list[Path],
    labels: Path,
    truth: list[Path],
    model: Path,
    out: Path,
    scores: Path,
    split: str,
    kind: str,
    shown: int,
    settings: ViewSettings,
    threads: int,
) -> None:
    """Extract the regions of the graph modules in clips of a split.

    Args:
        clips: Frames of the data set's clips, of all its shards.
        labels: The data set's labels.json: classes and splits.
        truth: What is true of generated clips, of all shards (`shapes`, `sync_mnist`); nothing for other data sets.
        model: A trained recognizer with graph modules (safetensors).
        out: The store to write (schema `regions`), of as many clips as are shown, spread over the split.
        scores: Where the distances go (JSON): `places` (names of the modules' places, in the order of their numbers),
            `statistics` (for each place, and for `module`, `grid` and `centre`, the numbers of each clip), `scores`
            (the same over all clips, each with the ends of its 95 % interval), and `num_clips`.
        split: The split: train, val or test.
        kind: Kind of the data set.
        shown: Number of clips whose regions are kept.
        settings: The views of a clip, of which the first one is looked at.
        threads: CPU threads.

    Raises:
        PipelineError: The recognizer has no graph module, it was trained with other classes, or no clip is there.
    """
    torch.set_num_threads(threads)
    if is_cast(model):
        raise PipelineError(f"{model}: a cast recognizer has no graph modules, so nothing in it looks at regions")
    store, known, trained = ClipStore(clips), read_labels(labels), read_recognizer(model)
    require_same_classes(trained.heads, known, model)
    if not trained.model.places:
        raise PipelineError(f"{model}: the recognizer has no graph modules, so nothing in it looks at regions")
    there = [clip_id for clip_id in known.split(split) if clip_id in store]
    if not there:
        raise PipelineError(f"{labels}: no clip of split '{split}' has frames: check the clips that failed")
    boxes_of = object_boxes(kind, truth)
    chosen = spread(there, shown)
    todo = there if boxes_of is not None else chosen
    trained.model.to(compute_device())
    fixed = baselines(trained)
    kept: dict[str, dict[str, Look]] = {}
    found: Found = {place: {"module": {}, "grid": {}, "centre": {}} for place in trained.model.places}
    for clip_id, of_places in track(looks(trained, store, todo, settings), len(todo), "extract_regions"):
        if clip_id in chosen:
            kept[clip_id] = of_places
        if boxes_of is not None:
            window = square_shares(*store.size(clip_id), settings)
            for place, look in of_places.items():
                others = {name: of_frame(boxes, window) for name, boxes in fixed[place].items()}
                measure(found[place], clip_id, look, others, boxes_of, store.times(clip_id))
    inputs = {"model": model, "labels": labels} | {f"clips_{number}": path for number, path in enumerate(clips)}
    with create(out, REGIONS, ids=chosen, stage="extract_regions", settings=settings, inputs=inputs) as writer:
        each_video(writer, {}, lambda clip_id: rows_of(kept[clip_id], store.times(clip_id)))
    content = described(found) | {"split": split, "places": list(trained.model.places), "num_clips": len(todo)}
    write_json(scores, content)
    for place, of in content["scores"].items():
        told = ", ".join(f"{name} {row['distance'][0]:.3f}" for name, row in of.items())
        print(f"{place}: distance to objects of {told}")


def measure(
    found: dict[str, dict[str, Any]],
    clip_id: str,
    look: Look,
    others: Mapping[str, Boxes],
    boxes_of: BoxesOfFrame,
    times: np.ndarray[Any, np.dtype[np.float32]],
) -> None:
    """Add the nearness of a module's regions in a clip, and of regions that do not look, to what was found.

    A clip without a visible object in any of the frames is left out.
    """
    objects = [boxes_of(clip_id, int(number), float(times[number])) for number in look.frames]
    nearness = {"module": clip_nearness(list(look.boxes), objects)}
    nearness |= {name: clip_nearness([boxes] * len(objects), objects) for name, boxes in others.items()}
    for name, numbers in nearness.items():
        if numbers is not None:
            found[name][clip_id] = numbers


def described(found: Found) -> dict[str, Any]:
    """What the file of scores says of the nearness: `statistics` and `scores`, both empty if no boxes are known."""
    statistics, scores = {}, {}
    for place, of in found.items():
        if not of["module"]:
            continue
        nearness = {
            name: Nearness(tuple(sorted(rows)), np.array([rows[i] for i in sorted(rows)])) for name, rows in of.items()
        }
        statistics[place] = {name: one.to_json() for name, one in nearness.items()}
        scores[place] = {
            name: {
                metric: [figure.value, *(figure.interval or (None, None))]
                for metric, figure in estimate([one], RESAMPLES).items()
            }
            for name, one in nearness.items()
        }
    return {"statistics": statistics, "scores": scores}


def rows_of(of_places: Mapping[str, Look], times: np.ndarray[Any, np.dtype[np.float32]]) -> Rows:
    """The rows of a clip in the store: nodes by place and step, and pairs in the order of the nodes that listen."""
    rows: dict[str, list[Any]] = {name: [] for name in REGIONS.arrays}
    first = 0
    for number, look in enumerate(of_places.values()):
        steps, nodes = look.boxes.shape[:2]
        rows["box"].append(look.boxes.reshape(-1, 4))
        rows["place"].append(np.full(steps * nodes, number))
        rows["step"].append(np.repeat(np.arange(steps), nodes))
        rows["frame"].append(np.repeat(look.frames, nodes))
        rows["time"].append(np.repeat(times[look.frames], nodes))
        if look.attention is not None:
            of_step = first + np.arange(steps * nodes).reshape(steps, nodes)
            rows["target"].append(np.repeat(of_step, nodes, 1).ravel())
            rows["source"].append(np.tile(of_step, (1, nodes)).ravel())
            rows["weight"].append(look.attention.ravel())
        first += steps * nodes
    # A module without messages has no pairs.
    none = {name: np.zeros(0, REGIONS.arrays[name].dtype) for name in rows}
    return {name: np.concatenate(parts) if parts else none[name] for name, parts in rows.items()}

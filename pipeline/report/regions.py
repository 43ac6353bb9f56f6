"""Show where the modules of recognizers look: regions on frames, attention between nodes, and distances to objects."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.artifact import Artifact, read, read_json
from pipeline.artifact.clip_store import ClipStore
from pipeline.report.artifacts import ByKind
from pipeline.report.comparison import metric_cell
from pipeline.report.curves import STYLE
from pipeline.report.frame_strips import FRAMES, strip_of
from pipeline.report.pictures import write_picture
from pipeline.schemas import REGIONS
from pipeline.scoring.bootstrap import estimate, estimate_difference
from pipeline.scoring.localisation import nearness_from_json
from pipeline.workflow.trials import experiment_of, trials_of

CLIPS = 3  # clips that are shown of each module
BASELINES = {"grid": "a fixed grid of such regions", "centre": "such regions in the centre"}


def describe_regions(
    found: ByKind,
    dataset: str,
    config: Mapping[str, Any],
    stores: Mapping[str, ClipStore],
    num_resamples: int,
    folder: Path,
) -> dict[str, Any]:
    """Make the part of a data set's section that shows regions.

    Args:
        found: The artifacts by kind.
        dataset: Name of the data set.
        config: The whole configuration.
        stores: Experiment to its clips.
        num_resamples: Number of resamples of the clips, and of the seeds where there are several.
        folder: Folder of the page, beside which the pictures are written.

    Returns:
        `rows` (of the table of distances, see `nearness_rows`) and `shown`: for each module of each experiment's first
        seed `experiment`, `place`, `strips` (`id` and `src`), `attention` (the `src` of a picture, or None) and
        `num_attended` (the number of clips that it is the mean of).
    """
    of_trial = {file.names["trial"]: file.path for file in found["region_scores"]}
    scores: dict[str, list[Mapping[str, Any]]] = {}
    for experiment in dict.fromkeys(map(experiment_of, of_trial)):
        entry = config["experiments"][experiment]
        paths = [of_trial[trial] for trial in trials_of(experiment, entry["seeds"]) if trial in of_trial]
        if entry["dataset"] == dataset:
            scores[experiment] = [read_json(path, ["places", "statistics"], "extract_regions") for path in paths]
    rows = [row for name, seeds in scores.items() for row in nearness_rows(name, seeds, num_resamples)]
    shown = []
    for file in found["regions"]:
        name = file.names["trial"]
        if name in scores and name in stores:  # the first seed, whose trial has the name of the experiment
            shown += show_regions(name, read(file.path, REGIONS), scores[name][0]["places"], stores[name], folder)
    return {"rows": rows, "shown": shown}


def nearness_rows(name: str, seeds: Sequence[Mapping[str, Any]], num_resamples: int) -> list[dict[str, Any]]:
    """Make the rows of the table of distances for one experiment.

    Args:
        name: Name of the experiment.
        seeds: The content of each seed's region_scores.json.
        num_resamples: Number of resamples of the clips, and of the seeds where there are several.

    Returns:
        For each module, and below it for each of `BASELINES`, `experiment`, `place`, `regions` (whose they are), `num`
        (clips) and `cells` (for each metric what `metric_cell` returns; of a module the difference is that to the fixed
        grid). None for data sets whose objects have no known boxes.
    """
    rows = []
    for place in seeds[0]["statistics"]:
        of = {
            regions: [nearness_from_json(seed["statistics"][place][regions]) for seed in seeds]
            for regions in ("module", *BASELINES)
        }
        differences = estimate_difference(of["module"], of["grid"], num_resamples)
        for regions, statistics in of.items():
            own = estimate(statistics, num_resamples)
            of_seeds = [one.scores() for one in statistics]
            cells = {
                metric: metric_cell(
                    [scores[metric] for scores in of_seeds],
                    own[metric],
                    differences.get(metric) if regions == "module" else None,
                )
                for metric in own
            }
            told = BASELINES.get(regions, "its regions")
            row = {"experiment": name, "place": place, "regions": told, "num": len(statistics[0].ids), "cells": cells}
            rows.append(row)
    return rows


def show_regions(
    name: str, artifact: Artifact, places: Sequence[str], clips: ClipStore, folder: Path
) -> list[dict[str, Any]]:
    """Draw the regions of the modules of one experiment on frames of the first clips of its store.

    Args:
        name: Name of the experiment.
        artifact: Its regions.
        places: Names of the places of its modules, in the order of their numbers.
        clips: Its clips.
        folder: Folder of the page.

    Returns:
        A row for each module: see `describe_regions`.
    """
    rows = []
    for number, place in enumerate(places):
        strips: list[dict[str, str]] = []
        matrices = []
        for clip_id in artifact.ids:
            own = artifact.video(clip_id, ["box", "place", "frame", "step", "weight", "source", "target"])
            mine = own["place"] == number
            if len(strips) < CLIPS:
                strip = _strip(clips, clip_id, own, mine)
                strips.append({"id": clip_id, "src": write_picture(folder, strip, ".jpg")})
            matrices.append(attention_matrix(own, number))
        known = [matrix for matrix in matrices if matrix is not None]
        picture = write_picture(folder, draw_attention(np.mean(known, axis=0)), ".svg") if known else None
        row = {"experiment": name, "place": place, "strips": strips, "attention": picture}
        rows.append(row | {"num_attended": len(known)})
    return rows


def attention_matrix(own: Mapping[str, NDArray[Any]], number: int) -> NDArray[np.float64] | None:
    """The mean over time of the weights between the nodes of one module, `[N, N]`, receivers first.

    Args:
        own: The rows of a clip in the store `regions`.
        number: Number of the module.

    Returns:
        The matrix; None if the module has no messages.
    """
    pairs = own["place"][own["target"]] == number
    if not pairs.any():
        return None
    mine = own["place"] == number
    num_steps = len(np.unique(own["step"][mine]))
    num_nodes = int(mine.sum()) // num_steps
    weights: NDArray[np.float64] = own["weight"][pairs].astype(np.float64).reshape(num_steps, num_nodes, num_nodes)
    mean_NN: NDArray[np.float64] = weights.mean(0)
    return mean_NN


def draw_attention(weights_NN: NDArray[np.float64]) -> bytes:
    """Draw the weights between nodes as SVG: a row for each node that listens."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.6, 2.4), layout="constrained")
        axes = figure.subplots()
        drawn = axes.imshow(weights_NN, cmap="viridis", vmin=0, interpolation="nearest")
        axes.set_xlabel("speaks")
        axes.set_ylabel("listens")
        axes.set_xticks(range(len(weights_NN)), [str(i + 1) for i in range(len(weights_NN))], fontsize=7)
        axes.set_yticks(range(len(weights_NN)), [str(i + 1) for i in range(len(weights_NN))], fontsize=7)
        figure.colorbar(drawn, ax=axes, shrink=0.8).ax.tick_params(labelsize=7)
        content = io.BytesIO()
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None})
    return content.getvalue()


def _strip(clips: ClipStore, clip_id: str, own: Mapping[str, NDArray[Any]], mine: NDArray[np.bool_]) -> bytes:
    steps = np.unique(own["step"][mine])
    chosen = [steps[i * len(steps) // min(FRAMES, len(steps))] for i in range(min(FRAMES, len(steps)))]
    at = [mine & (own["step"] == step) for step in chosen]
    return strip_of(clips, clip_id, [int(own["frame"][rows][0]) for rows in at], [own["box"][rows] for rows in at])

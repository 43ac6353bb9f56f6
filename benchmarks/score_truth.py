"""Measure what a captioner has learned, by the truth about the generated videos.

    python -m benchmarks.score_truth --experiment grid

prints the share of test captions that name colour, shape and action of the first object rightly, with BLEU-4 and CIDEr.
Further rows give the same apart for the pairs of colour and shape that training showed and for those it did not, and
for captions that the trained model generates from the graphs, or the maps, of *other* videos. If captions come from the
videos, the last row falls to chance; if they come from the language alone, it stays where it is. Of an experiment with
several seeds, a flag names the one that is scored.
"""

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from pipeline.artifact import read_json
from pipeline.captioning.either_kind import captions_of_videos, load_videos
from pipeline.captioning.graph_set import GraphSet
from pipeline.captioning.map_set import MapSet
from pipeline.config import DecodingSettings
from pipeline.config.overlays import read_config
from pipeline.datasets.shapes.captions import Vocabulary, read_caption
from pipeline.errors import PipelineError
from pipeline.jobs.progress import track
from pipeline.scoring.coco import overlap, tokenise_pairs
from pipeline.workflow.shards import shard_names
from pipeline.workflow.trials import trials_of

ASPECTS = ("colour", "shape", "action")
SWAP_SEED = 0

Truth = Mapping[str, Mapping[str, str]]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.score_truth", description=__doc__.partition("\n")[0])
    parser.add_argument("--experiment", default="grid", help="an experiment on generated videos (default: %(default)s)")
    parser.add_argument(
        "--config",
        nargs="+",
        type=Path,
        default=[Path("config.yaml")],
        metavar="PATH",
        help="configuration of the run, then its overlays (default: config.yaml)",
    )
    parser.add_argument("--seed", type=int, help="of the training (default: the first of the experiment)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where the artifacts are")
    flags = parser.parse_args(arguments)
    try:
        config = read_config(flags.config).model_dump(mode="json")
        print(score_experiment(flags.experiment, config, flags.results, flags.seed))
    except PipelineError as error:
        print(f"error: score_truth: {error}", file=sys.stderr)
        return 2
    return 0


def score_experiment(experiment: str, config: Mapping[str, Any], results: Path, seed: int | None) -> str:
    """Score an experiment's test captions against the truth, then those of other videos; return the table.

    Raises:
        PipelineError: if the experiment or its seed is unknown, or if it trains no captioner, is not on generated
            videos, or has not been run.
    """
    if experiment not in config["experiments"]:
        raise PipelineError(f"--experiment {experiment}: the configuration has {', '.join(config['experiments'])}")
    entry = config["experiments"][experiment]
    if entry["kind"] not in ("captioning", "map_captioning"):
        raise PipelineError(f"--experiment {experiment}: of kind {entry['kind']}, which trains no captioner")
    if seed not in (None, *entry["seeds"]):
        raise PipelineError(f"--seed {seed}: experiment {experiment} has {', '.join(map(str, entry['seeds']))}")
    dataset = config["datasets"][entry["dataset"]]
    if dataset["kind"] != "shapes":
        raise PipelineError(
            f"--experiment {experiment}: data set {entry['dataset']} is not generated: its truth is unknown"
        )
    shards = shard_names(dataset["shards"])
    home = results / "datasets" / entry["dataset"]
    truth, words, held_out = read_truth([home / "made" / shard / "truth.json" for shard in shards])
    references = read_json(home / "captions.json", ["captions", "splits"], "index_captions")["captions"]
    trials = dict(zip(entry["seeds"], trials_of(experiment, entry["seeds"]), strict=True))
    trial = trials[seed] if seed is not None else experiment
    folder = results / "experiments" / trial
    captions = read_json(folder / "test" / "captions.json", ["captions"], "generate_captions")["captions"]
    decoding = config["captioners"][entry["captioner"]]["decoding"]
    swapped = caption_swapped(
        list(captions),
        open_videos(entry, config["graphs"], home, shards),
        folder / "model.safetensors",
        DecodingSettings.model_validate_json(json.dumps(decoding)),
    )
    rows = [(f"{trial}, test", *score_captions(captions, truth, references, words))]
    if held_out:
        unseen = {i for i in captions if (truth[i]["colour"], truth[i]["shape"]) in held_out}
        for name, ids in (("seen", captions.keys() - unseen), ("unseen", unseen)):
            part = {i: caption for i, caption in captions.items() if i in ids}
            if part:
                rows.append((f"  {name} pairs", *score_captions(part, truth, references, words)))
    rows.append(
        (
            f"{'maps' if 'maps' in entry else 'graphs'} of other videos",
            *score_captions(swapped, truth, references, words),
        )
    )
    return "\n".join([format_rows(rows), "", by_action(captions, truth, words), "", chance(captions, truth, words)])


def open_videos(
    entry: Mapping[str, Any], graphs: Mapping[str, Any], home: Path, shards: Sequence[str]
) -> GraphSet | MapSet:
    """Open the maps of an experiment's data set, or its graphs with all else that its captioner reads."""

    def stores(kind: str, name: str | None) -> list[Path]:
        return [] if name is None else [home / kind / name / f"{shard}.zarr" for shard in shards]

    graph = entry.get("graph")
    has_pairs = graph is not None and graphs[graph]["motion_of"] == "union_box"
    return load_videos(
        graphs=stores("graphs", graph),
        pair_motion=stores("pair_motion", graph if has_pairs else None),
        knowledge=stores("knowledge", entry.get("knowledge")),
        objects=stores("nodes", entry.get("objects")),
        maps=stores("maps", entry.get("maps")),
    )


def read_truth(paths: Sequence[Path]) -> tuple[Truth, Vocabulary, set[tuple[str, str]]]:
    """Read the generator's truth: colour, shape and action of each video's first object.

    Returns:
        Truth of each video, the wordings, and the pairs of colour and shape that occur in the test split alone.
    """
    truth: dict[str, dict[str, str]] = {}
    content: dict[str, Any] = {}
    for path in paths:
        content = read_json(path, ["videos", "vocabulary", "held_out_pairs"], "make_shapes")
        for video_id, video in content["videos"].items():
            truth[video_id] = {aspect: video["objects"][0][aspect] for aspect in ASPECTS}
    return truth, content["vocabulary"], {(colour, shape) for colour, shape in content["held_out_pairs"]}


def derange(ids: Sequence[str]) -> list[str]:
    """Give each video another one: a single cycle through all of them, drawn from a fixed seed, blind to content."""
    if len(ids) < 2:
        raise PipelineError(f"swapping graphs needs at least 2 captioned videos, got {len(ids)}")
    order = random.Random(SWAP_SEED).sample(list(ids), len(ids))
    follower = dict(zip(order, [*order[1:], order[0]], strict=True))
    return [follower[video_id] for video_id in ids]


def caption_swapped(
    ids: Sequence[str], videos: GraphSet | MapSet, model: Path, settings: DecodingSettings
) -> dict[str, str]:
    """Caption each video with the trained model, but from the graph or the maps of another video."""
    _, found = captions_of_videos(videos, model, derange(ids), settings)
    return {
        video_id: caption.text for video_id, caption in zip(ids, track(found, len(ids), "other videos"), strict=True)
    }


def accuracy(captions: Mapping[str, str], truth: Truth, words: Vocabulary) -> dict[str, float]:
    """Share of captions whose first-named object has the true colour, shape and action; what is not said is wrong."""
    readings = {video_id: dict(read_caption(caption, words)) for video_id, caption in captions.items()}
    return {aspect: fmean(read[aspect] == truth[i][aspect] for i, read in readings.items()) for aspect in ASPECTS}


def score_captions(
    captions: Mapping[str, str], truth: Truth, references: Mapping[str, list[str]], words: Vocabulary
) -> tuple[int, list[float]]:
    """Count the captions, and score them: accuracy of colour, shape and action, BLEU-4 and CIDEr."""
    tokenised = tokenise_pairs({video_id: references[video_id] for video_id in captions}, captions)
    metrics, _ = overlap(*tokenised)
    return len(captions), [*accuracy(captions, truth, words).values(), metrics["Bleu_4"], metrics["CIDEr"]]


def format_rows(rows: Sequence[tuple[str, int, Sequence[float]]]) -> str:
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{'':{width}}  videos  " + "  ".join(f"{name:>6}" for name in (*ASPECTS, "BLEU-4", "CIDEr"))]
    for name, number, figures in rows:
        lines.append(f"{name:{width}}  {number:6}  " + "  ".join(f"{figure:6.3f}" for figure in figures))
    return "\n".join(lines)


def by_action(captions: Mapping[str, str], truth: Truth, words: Vocabulary) -> str:
    """Count how often each action is named rightly, and say what it is mostly taken for when it is not."""
    lines = ["action by action"]
    width = max(len(action) for action in words["actions"])
    for action in words["actions"]:
        said = [read_caption(captions[i], words)["action"] for i in captions if truth[i]["action"] == action]
        if said:
            missed = Counter(other or "nothing" for other in said if other != action).most_common(1)
            mistaken = f"  (else mostly: {missed[0][0]})" if missed else ""
            lines.append(f"  {action:{width}}  {said.count(action):4} of {len(said):4}{mistaken}")
    return "\n".join(lines)


def chance(captions: Mapping[str, str], truth: Truth, words: Vocabulary) -> str:
    """Say how often chance names the action: by a fair guess, and by these same captions dealt out blindly."""
    number = len(words["actions"])
    true = Counter(truth[i]["action"] for i in captions)
    said = Counter(read_caption(caption, words)["action"] for caption in captions.values())
    blind = sum(true[action] * said[action] for action in true) / len(captions) ** 2
    return f"chance of action: {1 / number:.3f} (one of {number}); these captions on videos at random: {blind:.3f}"


if __name__ == "__main__":
    sys.exit(main())

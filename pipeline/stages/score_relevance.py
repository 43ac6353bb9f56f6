"""Score how faithful an explanation is: curves, areas, its random twin, and mass on the objects of generated videos.

Shapes: N words of a caption, R regions.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.artifact import Artifact, read, read_json, write_json
from pipeline.artifact.each_video import Rows
from pipeline.captioning.explained import caption_words
from pipeline.datasets.shapes.named_objects import Scene, named_colours, read_scenes
from pipeline.errors import PipelineError
from pipeline.schemas import RELEVANCE
from pipeline.scoring.faithfulness import (
    LAYERS,
    TOP,
    Mass,
    area,
    beats_random,
    curves_of,
    mass_in,
    mean_of,
    rank_correlation,
    shares_of,
    summarise_mass,
)


def run(
    *,
    relevance: Path,
    captions: Path,
    truth: list[Path],
    explanation: str,
    experiment: str,
    kind: str,
    method: str,
    out: Path,
) -> None:
    """Score an explanation.

    Args:
        relevance: The explanation of some videos (schema `relevance`).
        captions: The captions that are explained.
        truth: What is true of generated videos (`shapes`), of all shards; nothing for other data sets.
        explanation: Name of the explanation.
        experiment: Name of the experiment.
        kind: Kind of the experiment.
        method: How relevance was computed.
        out: Where the scores go (JSON): `explanation`, `experiment`, `method`, `num_videos`; `curves` (mean
            log-probability of a word by `shares` of the regions, `deleted`, `inserted` and `deleted_at_random`) and the
            `areas` below them; `beats_random_at_20_percent` (share of videos); `rank_correlation_with_twin`; `mass` (of
            the `trained` captioner and its `twin`, null without truth); and `layers` (with the rank correlation once
            the layers down to this one are random).

    Raises:
        PipelineError: No explained video has a word, or the captions are not those that are explained.
    """
    store = read(relevance, RELEVANCE)
    told = read_json(captions, ["captions", "tokenizer"], "generate_captions")
    videos = [store.video(video_id) for video_id in store.ids]
    if not any(len(video["token"]) for video in videos):
        raise PipelineError(f"{relevance}: none of its {len(videos)} videos has a word, so that nothing is explained")
    num_words = {i: len(video["token"]) for i, video in zip(store.ids, videos, strict=True)}
    words = list(caption_words(captions, told, num_words, store.schema.stage).values())
    curves = curves_of(videos)
    correlations = [rank_correlation(*both_of(video)) for video in videos]
    content: dict[str, Any] = {
        "explanation": explanation,
        "experiment": experiment,
        "method": method,
        "num_videos": len(videos),
        "curves": {"shares": shares_of(curves), **curves},
        "areas": {name: area(curve) for name, curve in curves.items()},
        "beats_random_at_20_percent": beats_random(videos),
        "rank_correlation_with_twin": mean_of(correlations),
        "mass": mass_of(store, videos, words, read_scenes(truth)) if truth else None,
        "layers": layers_of(videos, LAYERS[kind]),
    }
    write_json(out, content)
    print(in_words(content))


def both_of(video: Rows) -> tuple[Any, Any]:
    """Relevance `[N, R]` of the captioner and of its random twin."""
    shape = len(video["token"]), len(video["time"])
    return video["relevance"].reshape(shape), video["twin"].reshape(shape)


def mass_of(
    store: Artifact, videos: Sequence[Rows], words: Sequence[Sequence[str]], scenes: dict[str, Scene]
) -> dict[str, Any]:
    """The mass of colours' words on their objects, of the `trained` captioner and of its `twin`."""
    found: dict[str, list[list[Mass]]] = {"trained": [], "twin": []}
    for video_id, video, of in zip(store.ids, videos, words, strict=True):
        if video_id not in scenes:
            raise PipelineError(
                f"truth.json says nothing of video {video_id}, which is explained: run make_shapes again"
            )
        scene = scenes[video_id]
        named = named_colours(of, scene)
        boxes = [scene.boxes_at(number, video["time"]) for number in range(scene.num_objects)]
        for name, relevance_NR in zip(found, both_of(video), strict=True):
            masses = []
            for place, own in named:
                shares = [mass_in(relevance_NR[place], video["box"].astype(float), box_R4) for box_R4 in boxes]
                masses.append(Mass(shares[own], shares[1 - own] if len(shares) == 2 else None))
            if masses:
                found[name].append(masses)
    return {name: summarise_mass(masses) for name, masses in found.items()}


def layers_of(videos: Sequence[Rows], names: Sequence[str]) -> list[dict[str, Any]]:
    """The mean rank correlation once the layers down to each are random; nothing where none are told."""
    told = [video["randomised"] for video in videos if len(video["randomised"])]
    return (
        [
            {"layer": name, "rank_correlation": float(sum(map(float, column)) / len(told))}
            for name, column in zip(names, zip(*told, strict=True), strict=True)
        ]
        if told
        else []
    )


def in_words(content: dict[str, Any]) -> str:
    """The main figures in a line."""
    curves, mass = content["curves"], content["mass"]
    line = f"without the {10 * TOP} % most relevant: {curves['deleted'][TOP]:.3f}, "
    line += f"without as many random ones: {curves['deleted_at_random'][TOP]:.3f}"
    if mass is not None and mass["trained"]["more_on_own"] is not None:
        line += f"; more mass on its own object: {mass['trained']['more_on_own']:.2f} of the videos, "
        line += f"with random weights {mass['twin']['more_on_own']:.2f}"
    return line

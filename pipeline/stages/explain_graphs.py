"""Explain the captions of a captioner of graphs: for each word, which nodes and edges speak for it, and how faithfully.

Shapes: W words of a caption, N nodes, E edges, D features of a node.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline.artifact import create, read, read_json
from pipeline.artifact.all_shards import AllShards
from pipeline.artifact.each_video import Rows, each_video
from pipeline.captioning.captioner import Captioner
from pipeline.captioning.explained import ExplainedCaption, explained_captions, known_words
from pipeline.captioning.graph_relevance import CaptionedGraph, mean_node
from pipeline.captioning.graph_set import GraphSet, load_graphs
from pipeline.captioning.model_file import load_captioner, load_untrained
from pipeline.captioning.removal import random_of, removal_curves
from pipeline.config import RelevanceSettings
from pipeline.errors import PipelineError, VideoError
from pipeline.models.precision import compute_device
from pipeline.schemas import NODES, RELEVANCE
from pipeline.vocabulary import Vocabulary


class Said(NamedTuple):
    """What was said of a video.

    Attributes:
        tokens: The words of its caption.
        turned: The words of the right-to-left caption that the decoder had in view, in reading order.
    """

    tokens: Sequence[int]
    turned: Sequence[int]


class Explained(NamedTuple):
    """What explains captions.

    Attributes:
        model: The captioner, in evaluation mode.
        twin: The same with random weights.
        away_D: The features that a removed node has.
        graphs: Graphs by video id.
        nodes: The nodes of the graphs, for the times of frames.
        settings: Method and seed.
    """

    model: Captioner
    twin: Captioner
    away_D: Tensor
    graphs: GraphSet
    nodes: AllShards
    settings: RelevanceSettings


def run(
    *,
    graphs: list[Path],
    pair_motion: list[Path],
    knowledge: list[Path],
    objects: list[Path],
    nodes: list[Path],
    captions: Path,
    model: Path,
    out: Path,
    settings: RelevanceSettings,
    threads: int,
) -> None:
    """Explain the captions of some videos of a split.

    Args:
        graphs: Graphs of the data set, of all its shards.
        pair_motion: Motion of pairs of nodes, of all shards; nothing where edges carry the motion of whole frames.
        knowledge: Knowledge rows of the videos, of all shards; nothing where the experiment has no knowledge.
        objects: Object nodes besides the graph, of all shards; nothing where the experiment has none.
        nodes: The nodes of the graphs, of all shards.
        captions: The captions of the split, which the captioner generated.
        model: The trained captioner (safetensors).
        out: The store to write (schema `relevance`).
        settings: Which videos are explained, and how.
        threads: CPU threads of the captioner.

    Raises:
        PipelineError: No captioned video has a graph with nodes, or captions are of another captioner.
    """
    torch.set_num_threads(threads)
    known = load_graphs(graphs, pair_motion, knowledge, objects)
    of_nodes = AllShards([read(path, NODES) for path in nodes], ["frame_time"])
    of_nodes.expect(known.ids)
    captioner, vocabulary = load_captioner(model)
    told = explained_captions(captions, vocabulary, known, settings.videos, settings.seed)
    turned = turned_captions(captions, vocabulary, list(told))
    said = {video_id: Said(caption.tokens, turned[video_id].tokens) for video_id, caption in told.items()}
    try:
        away_D = mean_node(known[video_id].x.numpy() for video_id in said)
    except ValueError as error:
        raise PipelineError(f"{graphs[0]}: none of the {len(said)} explained videos has a node: {error}") from error
    twin = load_untrained(model, settings.seed).to(compute_device()).requires_grad_(False)
    captioner.to(compute_device()).requires_grad_(False)
    explained = Explained(captioner, twin, away_D, known, of_nodes, settings)
    stores = {"graphs": graphs, "pair_motion": pair_motion, "knowledge": knowledge, "objects": objects, "nodes": nodes}
    inputs = {"model": model, "captions": captions}
    inputs |= {f"{name}_{number}": path for name, paths in stores.items() for number, path in enumerate(paths)}
    with create(out, RELEVANCE, ids=list(said), stage="explain_graphs", settings=settings, inputs=inputs) as writer:
        each_video(writer, of_nodes.failed, lambda video_id: rows_of(explained, video_id, said[video_id]))


def turned_captions(captions: Path, vocabulary: Vocabulary, ids: Sequence[str]) -> dict[str, ExplainedCaption]:
    """The right-to-left captions of some videos, their words in reading order.

    Raises:
        PipelineError: A video has none, or one with a word that the captioner does not know.
    """
    texts = read_json(captions, ["captions", "right_to_left"], "generate_captions")["right_to_left"]
    if missing := [video_id for video_id in ids if video_id not in texts]:
        raise PipelineError(
            f"{captions}: video {missing[0]} has no `right_to_left` caption, expected one: run generate_captions again "
            f"(snakemake {captions})"
        )
    return known_words(captions, {video_id: texts[video_id] for video_id in ids}, vocabulary)


def rows_of(explained: Explained, video_id: str, said: Said) -> Rows:
    """Explain the caption of one video.

    Args:
        explained: What explains it.
        video_id: The video's id.
        said: Its captions.

    Returns:
        Its rows of the artifact.

    Raises:
        VideoError: Its graph has no nodes, or is not made of these nodes.
    """
    model, twin, away_D, graphs, nodes, settings = explained
    graph = graphs[video_id]
    if not len(graph.x):
        raise VideoError("its graph has no nodes, so that none speaks for a word")
    frame_time = nodes.video(video_id)["frame_time"]
    if len(frame_time) != len(graph.motion):
        raise VideoError(f"its graph has {len(graph.motion)} frames, and its nodes are in {len(frame_time)}")
    of_model, of_twin = (
        CaptionedGraph(one, graph.to(compute_device()), said.tokens, said.turned, away_D) for one in (model, twin)
    )
    relevance_WN = of_model.nodes(settings.method)
    curves = removal_curves(relevance_WN, of_model.log_p_of_kept, random_of(settings.seed, video_id))
    return {
        "token": np.array(said.tokens, np.int32),
        "log_p": curves.deleted_WS[:, 0],
        "relevance": relevance_WN.ravel(),
        "twin": of_twin.nodes(settings.method).ravel(),
        "time": frame_time[graph.node_frame.cpu().numpy()],
        "box": graph.node_box.cpu().numpy(),
        "shape": np.zeros((1, 3), np.int32),
        "source": graph.edge_index[0].cpu().numpy(),
        "target": graph.edge_index[1].cpu().numpy(),
        "edge_relevance": of_model.edges().ravel(),
        "deleted": curves.deleted_WS,
        "inserted": curves.inserted_WS,
        "deleted_at_random": curves.random_WS,
        "randomised": np.zeros(0, np.float32),
    }

"""Embed the entities and relations of a knowledge graph: by CLIP4Clip's text tower, and by their triplets.

Shapes: N entities, M relations, D width of the text embedding, W of the graph embedding, L tokens.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.artifact import write_json
from pipeline.artifact.inputs import record_inputs
from pipeline.config import Clip4ClipSettings, EmbeddingSettings
from pipeline.errors import PipelineError
from pipeline.knowledge.graph_embedding import (
    features,
    filtered_ranks,
    ranking_scores,
    split_held_out,
    train_embedding,
)
from pipeline.knowledge.triplets import KnowledgeGraph, read_graph
from pipeline.models.clip4clip import VOCABULARY, Clip4Clip, load_clip4clip, tokenize
from pipeline.weights.saving import save_weights

PHRASES_AT_ONCE = 256


def run(
    *,
    triplets: Path,
    weights: Path,
    out: Path,
    scores: Path,
    settings: EmbeddingSettings,
    encoder: Clip4ClipSettings,
    threads: int,
) -> None:
    """Embed a knowledge graph, and test its graph embedding on triplets that were held out.

    A few thousand phrases and triplets: it runs on the CPU, and gives the same numbers on every machine with one.

    Args:
        triplets: The graph's triplets.json.
        weights: The encoder's `weights.safetensors`.
        out: Where the embedding goes (safetensors): `entity_text` [N, D], `relation_text` [M, D], `entity_graph`
            [N, W], `relation_graph` [M, W], with the words, and the inputs as JSON, in the metadata.
        scores: Where the scores of the graph embedding go (JSON).
        settings: Model and training of the graph embedding.
        encoder: Architecture of the encoder.
        threads: CPU threads.

    Raises:
        PipelineError: The weights are of another architecture, or its text tower cannot take CLIP's tokens.
    """
    torch.set_num_threads(threads)
    graph = read_graph(triplets)
    module = load_clip4clip(weights, encoder.arch)
    if module.vocab_size < VOCABULARY:
        raise PipelineError(
            f"arch: the text tower of {weights} knows {module.vocab_size} tokens; CLIP's {VOCABULARY} are needed"
        )
    entity_graph_NW, relation_graph_MW, tested = embed_graph(graph, settings)
    state = {
        "entity_text": embed_phrases(module, graph.entities),
        "relation_text": embed_phrases(module, graph.relations),
        "entity_graph": entity_graph_NW,
        "relation_graph": relation_graph_MW,
    }
    described = {
        "kind": "knowledge",
        "model": settings.model,
        "inputs": json.dumps(record_inputs({"triplets": triplets, "weights": weights}), sort_keys=True),
        "entities": json.dumps(graph.entities, ensure_ascii=False),
        "relations": json.dumps(graph.relations, ensure_ascii=False),
    }
    save_weights(state, out, described)
    write_json(scores, tested)


@torch.inference_mode()
def embed_phrases(module: Clip4Clip, phrases: Sequence[str]) -> Tensor:
    """Embed phrases, each on its own, L2-normalised: [phrases, D]."""
    rows = [torch.zeros(0, module.text_projection.shape[1])]  # no phrase at all has a width, too
    for start in range(0, len(phrases), PHRASES_AT_ONCE):
        tokens_BL = tokenize(phrases[start : start + PHRASES_AT_ONCE], module.context_length)
        tokens_BL = tokens_BL[:, : int(tokens_BL.argmax(dim=1).max()) + 1]  # what follows the last end is padding
        rows.append(F.normalize(module.encode_text(tokens_BL), dim=-1))
    return torch.cat(rows)


def embed_graph(graph: KnowledgeGraph, settings: EmbeddingSettings) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Train and test the graph embedding.

    Returns:
        Features of the entities [N, W] and of the relations [M, W] of the model that was tested, which has not seen
        the held-out triplets; and the content of scores.json.
    """
    held = split_held_out(graph, settings.held_out, settings.seed)
    known: dict[str, Any] = {
        "kind": "knowledge_embedding",
        "model": settings.model,
        "num_entities": len(graph.entities),
        "num_relations": len(graph.relations),
        "num_triplets": {"train": int((~held).sum()), "held_out": int(held.sum())},
    }
    if held.all():  # no triplets at all: a word of a held-out one is in others
        return torch.zeros(0, settings.width), torch.zeros(0, settings.width), known | {"filtered": None, "loss": None}
    model, losses = train_embedding(graph.select(~held), settings)
    filtered = ranking_scores(*filtered_ranks(model, graph, held))
    print(
        f"{settings.model}: {known['num_triplets']['held_out']} of {len(graph)} triplets held out; filtered MRR "
        f"{filtered['mrr']}, Hits@10 {filtered['hits@10']}; by chance {filtered['chance']['mrr']}, "
        f"{filtered['chance']['hits@10']}"
    )
    loss = {"first": round(losses[0], 6), "last": round(losses[-1], 6)}
    return *features(model), known | {"filtered": filtered, "loss": loss}

"""Embed the entities and relations of a knowledge graph by CLIP4Clip's text tower, and by their triplets.

Shapes: N entities, M relations, D width of the text embedding, W width of the graph embedding, B phrases of a batch, L
tokens of a phrase.
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

    This runs on the CPU, so that a machine with a GPU gives the same numbers as one without; there are only a few
    thousand phrases and triplets.

    Args:
        triplets: The graph's triplets.json.
        weights: The encoder's `weights.safetensors`.
        out: Where the embedding goes (safetensors): `entity_text` [N, D], `relation_text` [M, D], `entity_graph`
            [N, W], `relation_graph` [M, W]. The metadata holds the words and the digests of the inputs, as JSON.
        scores: Where the scores of the graph embedding go (JSON).
        settings: Model and training of the graph embedding.
        encoder: Architecture of the encoder.
        threads: CPU threads of both embeddings.

    Raises:
        PipelineError: The weights are of another architecture, or the text tower cannot take CLIP's tokens.
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
    """Embed each phrase on its own; returns L2-normalised rows [phrases, D]."""
    rows = [torch.zeros(0, module.text_projection.shape[1])]  # without any phrase the result is [0, D]
    for start in range(0, len(phrases), PHRASES_AT_ONCE):
        tokens_BL = tokenize(phrases[start : start + PHRASES_AT_ONCE], module.context_length)
        # The end token has the largest number; all that follows the last of them is padding.
        tokens_BL = tokens_BL[:, : int(tokens_BL.argmax(dim=1).max()) + 1]
        rows.append(F.normalize(module.encode_text(tokens_BL), dim=-1))
    return torch.cat(rows)


def embed_graph(graph: KnowledgeGraph, settings: EmbeddingSettings) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Train and test the graph embedding.

    Args:
        graph: All triplets; some of them are held out of the training for the test.
        settings: Model and training, and the share that is held out.

    Returns:
        Features of the entities [N, W] and of the relations [M, W], L2-normalised, and the content of scores.json. The
        features are those of the model that was tested, which has not seen the held-out triplets.
    """
    held = split_held_out(graph, settings.held_out, settings.seed)
    known: dict[str, Any] = {
        "kind": "knowledge_embedding",
        "model": settings.model,
        "num_entities": len(graph.entities),
        "num_relations": len(graph.relations),
        "num_triplets": {"train": int((~held).sum()), "held_out": int(held.sum())},
    }
    if held.all():  # only where there is no triplet at all, since the words of a held-out one stay in others
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

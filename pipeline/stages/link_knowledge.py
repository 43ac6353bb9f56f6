"""Give each video rows of the knowledge graph: the entities that it looks like, then the relations among them.

Shapes: F frames, D text embedding, N entities, M relations, K features of a row.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from pipeline.artifact import create, file_digest, read
from pipeline.artifact.each_video import Rows, each_video
from pipeline.config import LinkingSettings
from pipeline.errors import PipelineError, VideoError
from pipeline.knowledge.linking import Relations, index_relations, likeliest, relations_among, shuffled, similarity
from pipeline.knowledge.triplets import read_graph
from pipeline.schemas import APPEARANCE, KNOWLEDGE


@dataclass(frozen=True)
class Embedding:
    """The part of a knowledge graph's embedding that linking needs.

    Attributes:
        entity_text: Text embeddings of the entities, which frames are compared with, [N, D].
        entities: Rows that a video gets for entities, [N, K].
        relations: Rows that a video gets for relations, [M, K].
    """

    entity_text: NDArray[np.float32]
    entities: NDArray[np.float32]
    relations: NDArray[np.float32]


def run(*, appearance: Path, embedding: Path, triplets: Path, out: Path, settings: LinkingSettings) -> None:
    """Link the videos of a shard to a knowledge graph, without reading their captions.

    Args:
        appearance: Embeddings of the shard's frames (APPEARANCE), by the encoder that embedded the entities.
        embedding: The graph's embedding.safetensors.
        triplets: The graph's triplets.json.
        out: Where the shard's rows (KNOWLEDGE) go.
        settings: How many rows a video gets, with which features, and whether they are its own or another video's.

    Raises:
        PipelineError: The embedding is of other triplets, or of another width than the frames.
    """
    source = read(appearance, APPEARANCE)
    words = read_embedding(embedding, triplets, settings.features)
    between = index_relations(read_graph(triplets))
    inputs = {"appearance": appearance, "embedding": embedding, "triplets": triplets}
    failed = source.failed | {
        video_id: "no frame to compare with entities"
        for video_id, num_frames in zip(source.ids, np.diff(source.ptr("frame")), strict=True)
        if num_frames == 0
    }
    good = [video_id for video_id in source.ids if video_id not in failed]
    if settings.videos == "shuffled" and len(good) == 1:
        failed |= {good.pop(): "`videos: shuffled` gives a video the rows of another one, and its shard has no other"}
    whose = shuffled(good) if settings.videos == "shuffled" and good else {video_id: video_id for video_id in good}
    ids = [*source.ids, *source.failed]
    with create(out, KNOWLEDGE, ids=ids, stage="link_knowledge", settings=settings, inputs=inputs) as writer:

        def linked(video_id: str) -> Rows:
            frames_FD = source.video(whose[video_id])["x"].astype(np.float32)
            _check_width(frames_FD, words, appearance, embedding)
            if not np.abs(frames_FD).max(axis=1).all():
                raise VideoError("a frame's embedding is zero: it has no direction to compare")
            return link(frames_FD, words, between, settings)

        each_video(writer, failed, linked)


def read_embedding(path: Path, triplets: Path, features: str) -> Embedding:
    """Read the embedding that `embed_knowledge` wrote.

    Args:
        path: The graph's embedding.safetensors.
        triplets: The triplets.json that the embedding must have been made from.
        features: The embedding that rows are made of: "text", "graph", or "both" side by side.

    Raises:
        PipelineError: The file cannot be read, or is not an embedding of these triplets.
    """
    again = f"run embed_knowledge again (snakemake {path})"
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
            of_triplets = json.loads(metadata["inputs"])["triplets"]["digest"]
    except (OSError, SafetensorError) as error:
        raise PipelineError(f"{path} cannot be read ({error}): {again}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise PipelineError(f"{path} does not say which triplets it is of ({error!r}): {again}") from error
    if of_triplets != file_digest(triplets):
        raise PipelineError(f"{path} is an embedding of other triplets than {triplets}: {again}")
    kinds = ("text", "graph") if features == "both" else (features,)
    entities, relations = (
        np.concatenate([state[f"{what}_{kind}"] for kind in kinds], axis=1) for what in ("entity", "relation")
    )
    return Embedding(state["entity_text"], entities, relations)


def link(frames_FD: NDArray[np.float32], words: Embedding, between: Relations, settings: LinkingSettings) -> Rows:
    """Choose the rows of one video; each row says whether it is a relation, and none is padding.

    Args:
        frames_FD: Embeddings of the video's frames, none of them zero.
        words: The embedding of the graph.
        between: The graph's relations, from `index_relations`.
        settings: How many entities and relations to choose at most.

    Returns:
        The video's rows of the arrays of KNOWLEDGE; no rows where the graph is empty.
    """
    similarity_N = similarity(frames_FD, words.entity_text)
    entities = likeliest(similarity_N, settings.entities)
    relations = np.array(relations_among(between, entities.tolist(), settings.relations), np.int64)
    return {
        "x": np.concatenate([words.entities[entities], words.relations[relations]]),
        "is_relation": np.repeat(np.array([0, 1]), [len(entities), len(relations)]),
        "word": np.concatenate([entities, relations]),
        "similarity": np.concatenate([similarity_N[entities], np.zeros(len(relations), np.float32)]),
    }


def _check_width(frames_FD: NDArray[np.float32], words: Embedding, appearance: Path, embedding: Path) -> None:
    if frames_FD.shape[1] != words.entity_text.shape[1]:
        raise PipelineError(
            f"{appearance} has {frames_FD.shape[1]} features and {embedding} {words.entity_text.shape[1]}: frames and "
            "entities must come from one encoder"
        )

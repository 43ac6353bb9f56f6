"""Describe encoders and embeddings of knowledge for the report: their origin and scores, and what they reconstruct."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open

from pipeline.artifact import read_json
from pipeline.report.artifacts import ByKind
from pipeline.report.pictures import write_picture
from pipeline.weights.origin import is_untrained
from pipeline.workflow.paths import Located

DETECTION = ("average_precision", "mean_average_precision", "num_frames", "overlap")
PRETRAINING = ("epochs", "settings", "num_clips", "shown")
EMBEDDING = ("model", "num_entities", "num_relations", "num_triplets", "filtered")


def describe_encoders(found: ByKind, folder: Path) -> list[dict[str, Any]]:
    """Describe every encoder, in the order of their names, and write their pictures beside the page in `folder`.

    Returns:
        For each encoder `name`, `kind`, `origin`, `is_untrained`, and `retrieval`, `detection` and `pretraining`, what
        its training has written, or None; of a pre-training, `src` is its picture.
    """
    retrieval = _read_by_encoder(found["retrieval"], ["best"], "finetune_clip4clip")
    detection = _read_by_encoder(found["detection"], DETECTION, "finetune_detector")
    pretraining = _read_by_encoder(found["pretraining"], PRETRAINING, "pretrain_videomae")
    pictures = {
        file.names["encoder"]: write_picture(folder, file.path.read_bytes(), ".png")
        for file in found["reconstructions"]
    }
    encoders = []
    for weights in found["weights"]:
        with safe_open(weights.path, framework="numpy") as file:
            metadata = file.metadata() or {}
        name = weights.names["encoder"]
        origin = metadata.get("origin", "unknown")
        encoders.append(
            {
                "name": name,
                "kind": metadata.get("kind", "unknown"),
                "origin": origin,
                "is_untrained": is_untrained(origin),
                "retrieval": retrieval.get(name),
                "detection": detection.get(name),
                "pretraining": pretraining[name] | {"src": pictures[name]} if name in pictures else None,
            }
        )
    return encoders


def describe_embeddings(scores: Sequence[Located]) -> dict[str, Any]:
    """Read the scores of the embeddings of triplets, by the name of the knowledge."""
    return {file.names["knowledge"]: read_json(file.path, EMBEDDING, "embed_knowledge") for file in scores}


def _read_by_encoder(files: Sequence[Located], keys: Sequence[str], stage: str) -> Mapping[str, Any]:
    return {file.names["encoder"]: read_json(file.path, keys, stage) for file in files}

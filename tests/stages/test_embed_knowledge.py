import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F
from toys.clip import encoder, write_weights

from pipeline.artifact import file_digest, write_json
from pipeline.config import EmbeddingSettings
from pipeline.errors import PipelineError
from pipeline.knowledge.graph_embedding import features, split_held_out, train_embedding
from pipeline.knowledge.triplets import Triplet, graph_content, read_graph
from pipeline.models.clip4clip import load_pretrained, save_clip4clip, tokenize
from pipeline.stages.embed_knowledge import run

ARCH = {
    "embed_dim": 6,
    "vision": {"image_size": 16, "patch_size": 8, "width": 16, "heads": 2, "layers": 1},
    "text": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}
COUNTS = {
    Triplet(f"{colour} {shape}", relation, place): 2
    for colour in ("red", "blue", "green")
    for shape in ("circle", "star")
    for relation, place in (("move to", "left"), ("move to", "right"), ("slide to", "left"), ("rise up", "screen"))
}


def settings(**changes: object) -> EmbeddingSettings:
    values = {
        "model": "transe",
        "width": 4,
        "epochs": 30,
        "batch_size": 8,
        "lr": 0.05,
        "held_out": 0.25,
        "seed": 1,
    }
    return EmbeddingSettings.model_validate(values | changes)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_weights(tmp_path, ARCH)


def embed(
    folder: Path, weights: Path, counts: dict[Triplet, int], **changes: object
) -> tuple[dict[str, np.ndarray], dict[str, str], dict]:
    folder.mkdir(exist_ok=True)
    write_json(folder / "triplets.json", graph_content(counts, 1))
    run(
        triplets=folder / "triplets.json",
        weights=weights,
        out=folder / "embedding.safetensors",
        scores=folder / "scores.json",
        settings=settings(**changes),
        encoder=encoder(ARCH),
        threads=1,
    )
    with safe_open(folder / "embedding.safetensors", framework="np") as file:
        state, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    return state, metadata, json.loads((folder / "scores.json").read_text())


def test_run_embeds_words_and_triplets(tmp_path: Path, weights: Path) -> None:
    state, metadata, scores = embed(tmp_path / "a", weights, COUNTS)
    entities, relations = json.loads(metadata["entities"]), json.loads(metadata["relations"])
    assert sorted(entities) == sorted({word for triplet in COUNTS for word in (triplet.head, triplet.tail)})
    assert sorted(relations) == ["move to", "rise up", "slide to"]
    assert json.loads(metadata["inputs"]) == {
        "triplets": {"digest": file_digest(tmp_path / "a/triplets.json"), "path": "triplets.json"},
        "weights": {"digest": file_digest(weights), "path": weights.name},
    }
    assert {name: array.shape for name, array in state.items()} == {
        "entity_text": (9, 6),
        "relation_text": (3, 6),
        "entity_graph": (9, 4),
        "relation_graph": (3, 4),
    }
    module = load_pretrained("random", ARCH, 1)[0]
    for words, name in ((entities, "entity_text"), (relations, "relation_text")):
        for number, word in enumerate(words):  # each phrase on its own
            with torch.no_grad():
                own = F.normalize(module.encode_text(tokenize([word], 16)), dim=-1)[0]
            np.testing.assert_allclose(state[name][number], own.numpy(), atol=1e-5)
    for name in state:
        np.testing.assert_allclose(np.linalg.norm(state[name], axis=1), 1, atol=1e-5)
    assert scores["num_triplets"] == {"train": 18, "held_out": 6}
    assert 0 < scores["filtered"]["mrr"] <= 1
    assert scores["filtered"]["hits@1"] <= scores["filtered"]["hits@3"] <= scores["filtered"]["hits@10"] == 1
    assert scores["loss"]["last"] < scores["loss"]["first"]
    embed(tmp_path / "b", weights, COUNTS)
    for name in ("embedding.safetensors", "scores.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_held_out_triplets_are_not_learnt_from(tmp_path: Path, weights: Path) -> None:
    state, _, _ = embed(tmp_path / "a", weights, COUNTS)
    graph = read_graph(tmp_path / "a/triplets.json")
    held = split_held_out(graph, settings().held_out, settings().seed)
    for rows, is_same in ((~held, True), (held | ~held, False)):
        entities, relations = features(train_embedding(graph.select(rows), settings())[0])
        assert np.array_equal(state["entity_graph"], entities.numpy()) == is_same
        assert np.array_equal(state["relation_graph"], relations.numpy()) == is_same


@pytest.mark.parametrize("model", ["distmult", "complex", "rotate"])
def test_every_model_has_the_width_asked_for(tmp_path: Path, weights: Path, model: str) -> None:
    state, metadata, scores = embed(tmp_path / model, weights, COUNTS, model=model, epochs=2)
    assert state["entity_graph"].shape == (9, 4)
    assert state["relation_graph"].shape == (3, 4)
    assert metadata["model"] == scores["model"] == model


def test_an_empty_graph_has_no_rows_of_the_right_widths(tmp_path: Path, weights: Path) -> None:
    state, metadata, scores = embed(tmp_path / "empty", weights, {})
    assert {name: array.shape for name, array in state.items()} == {
        "entity_text": (0, 6),
        "relation_text": (0, 6),
        "entity_graph": (0, 4),
        "relation_graph": (0, 4),
    }
    assert metadata["entities"] == metadata["relations"] == "[]"
    assert scores["filtered"] is None
    assert scores["num_triplets"] == {"train": 0, "held_out": 0}


def test_one_triplet_is_learnt_from_and_not_tested(tmp_path: Path, weights: Path) -> None:
    state, _, scores = embed(tmp_path / "one", weights, {Triplet("man", "play", "guitar"): 1})
    assert state["entity_graph"].shape == (2, 4)
    assert scores["num_triplets"] == {"train": 1, "held_out": 0}
    assert scores["filtered"]["mrr"] is None


def test_a_text_tower_with_other_tokens_is_refused(tmp_path: Path) -> None:
    arch = ARCH | {"text": ARCH["text"] | {"vocab_size": 20}}
    save_clip4clip(load_pretrained("random", arch, 1)[0], tmp_path / "weights.safetensors", "random")
    write_json(tmp_path / "triplets.json", graph_content(COUNTS, 1))
    with pytest.raises(PipelineError, match="knows 20 tokens"):
        run(
            triplets=tmp_path / "triplets.json",
            weights=tmp_path / "weights.safetensors",
            out=tmp_path / "embedding.safetensors",
            scores=tmp_path / "scores.json",
            settings=settings(),
            encoder=encoder(arch),
            threads=1,
        )
    assert not (tmp_path / "embedding.safetensors").exists()

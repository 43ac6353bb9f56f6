"""The scorer against the generator's truth: readings, swap control, and the whole command on a tiny experiment."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from benchmarks.score_truth import accuracy, by_action, caption_swapped, chance, derange, main, read_truth
from pipeline.artifact import create, write_json
from pipeline.captioning.captioner import Captioner
from pipeline.captioning.either_kind import captions_of_videos
from pipeline.captioning.graph_set import load_graphs
from pipeline.captioning.model_file import describe_model
from pipeline.config import CaptionerModelSettings, DecodingSettings
from pipeline.datasets.shapes.captions import vocabulary
from pipeline.datasets.sharding import shard_of
from pipeline.errors import PipelineError
from pipeline.schemas import GRAPHS
from pipeline.vocabulary import SPECIAL, Vocabulary
from pipeline.weights.saving import save_weights

CONFIG = Path(__file__).parents[2] / "config.yaml"
WORDS = vocabulary(["red", "blue"], ["circle", "square"], ["grows", "shrinks", "moves left"])
TRUTH = {
    "a": {"colour": "red", "shape": "circle", "action": "grows"},
    "b": {"colour": "blue", "shape": "square", "action": "shrinks"},
    "c": {"colour": "red", "shape": "square", "action": "moves left"},
    "d": {"colour": "blue", "shape": "circle", "action": "grows"},
}
REFERENCES = {
    "a": ["a red circle grows larger and larger"],
    "b": ["a blue box shrinks smaller and smaller"],
    "c": ["a red square moves to the left"],
    "d": ["the blue ball gets larger and larger"],
}
CAPTIONS = {
    "a": "a red ball is getting larger and larger",  # all right, by synonyms
    "b": "a blue circle shrinks smaller and smaller",  # shape wrong
    "c": "a blue square is",  # colour wrong, no action
    "d": "a red square moves to the left of a blue circle",  # the first object counts: all wrong
}
MODEL = {
    "node_position": "learned",
    "pool": "present",
    "graph_encoder": "transformer",
    "fusion": "concatenate",
    "knowledge_attention": "mha",
    "knowledge_layers": 1,
    **dict.fromkeys(("graph_width", "visual_width", "visual_feedforward", "width", "decoder_feedforward"), 16),
    **dict.fromkeys(("graph_heads", "visual_heads_right_to_left", "visual_heads_left_to_right", "decoder_heads"), 2),
    **dict.fromkeys(("visual_layers", "decoder_layers"), 1),
    "dropout": 0.0,
}
DECODING = {
    "beam": 2,
    "max_words": 8,
    "min_words": 0,
    "length_penalty": 0.0,
    "no_repeat_ngram": 0,
    "rerank": "none",
    "nucleus": None,
    "batch_size": 3,
}


def test_accuracy_reads_the_first_object():
    assert accuracy(CAPTIONS, TRUTH, WORDS) == {"colour": 0.5, "shape": 0.5, "action": 0.5}


def test_by_action_names_the_confusion():
    lines = by_action(CAPTIONS, TRUTH, WORDS).splitlines()
    assert lines[1].split() == ["grows", "1", "of", "2", "(else", "mostly:", "moves", "left)"]
    assert lines[3].split() == ["moves", "left", "0", "of", "1", "(else", "mostly:", "nothing)"]


def test_chance_of_blind_captions():
    # said: grows 1, shrinks 1, moves left 1, nothing 1; true: grows 2, shrinks 1, moves left 1: (2 + 1 + 1) / 16
    told = chance(CAPTIONS, TRUTH, WORDS)
    assert "0.333 (one of 3)" in told
    assert told.endswith("0.250")


@pytest.mark.parametrize("number", [2, 3, 50])
def test_derangement(number):
    ids = [f"v{i}" for i in range(number)]
    others = derange(ids)
    assert sorted(others) == sorted(ids)
    assert all(other != video_id for other, video_id in zip(others, ids, strict=True))
    assert others == derange(ids)
    assert dict(zip(ids, others, strict=True)) != dict(zip(ids, [*ids[1:], ids[0]], strict=True)) or number < 4


def test_one_video_has_nobody_to_swap_with():
    with pytest.raises(PipelineError, match="at least 2"):
        derange(["a"])


def make_truth(path, ids, held_out):
    videos = {i: {"objects": [TRUTH[i] | {"size": "small", "boxes": []}], "relation": None} for i in ids}
    write_json(path, {"videos": videos, "vocabulary": WORDS, "held_out_pairs": held_out})


def test_read_truth_joins_shards(tmp_path):
    make_truth(tmp_path / "0.json", ["a", "b"], [["red", "square"]])
    make_truth(tmp_path / "1.json", ["c", "d"], [["red", "square"]])
    truth, words, held_out = read_truth([tmp_path / "0.json", tmp_path / "1.json"])
    assert (truth, words, held_out) == (TRUTH, WORDS, {("red", "square")})


@pytest.fixture
def experiment(tmp_path):
    """A finished experiment whose captioner is untrained but sees its graphs."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    home, folder = tmp_path / "results/datasets/shapes", tmp_path / "results/experiments/grid"
    splits = {"train": [], "val": [], "test": list(TRUTH)}
    write_json(home / "captions.json", {"captions": REFERENCES, "splits": splits})
    for shard in range(2):
        ids = [i for i in TRUTH if shard_of(i, 2) == shard]
        make_truth(home / f"made/00{shard}/truth.json", ids, [["red", "square"]])
        store = home / f"graphs/grid/00{shard}.zarr"
        with create(store, GRAPHS, ids=ids, stage="convert_graphs", settings={}, inputs={}) as writer:
            for video_id in writer.remaining:
                writer.append(
                    video_id,
                    x=rng.normal(size=(2, 3)) * 20,
                    node_frame=np.array([0, 1]),
                    box=rng.random((2, 4)),
                    source=np.array([0]),
                    target=np.array([1]),
                    kind=np.array([1]),
                    weight=np.array([1.0]),
                    motion=rng.normal(size=(2, 3)) * 20,
                )
    known = Vocabulary((*SPECIAL, *" ".join(caption for [caption] in REFERENCES.values()).split()), 8)
    settings = CaptionerModelSettings.model_validate_json(json.dumps(MODEL))
    captioner = Captioner(settings, len(known), 3, 3)
    with torch.no_grad():
        for parameter in captioner.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3)  # far from uniform, so that different graphs give different captions
    save_weights(captioner.state_dict(), folder / "model.safetensors", describe_model(settings, known, 3, 3))
    write_json(folder / "test/captions.json", {"captions": CAPTIONS, "missing": []})
    return tmp_path


def test_swapped_captions_come_from_the_other_graphs(experiment):
    stores = sorted((experiment / "results/datasets/shapes/graphs/grid").glob("*.zarr"))
    model = experiment / "results/experiments/grid/model.safetensors"
    settings = DecodingSettings(**DECODING)
    swapped = caption_swapped(list(TRUTH), load_graphs(stores), model, settings)
    own = [caption.text for caption in captions_of_videos(load_graphs(stores), model, list(TRUTH), settings)[1]]
    assert len(set(own)) > 1
    by_video = dict(zip(TRUTH, own, strict=True))
    assert swapped == {i: by_video[other] for i, other in zip(TRUTH, derange(list(TRUTH)), strict=True)}


def config_file(folder):
    """The project's configuration, with the tiny data set's contents and decoding."""
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["captioners"]["bidirectional"]["decoding"] = DECODING
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def test_command_prints_every_row(experiment, capsys):
    flags = ["--config", str(config_file(experiment)), "--results", str(experiment / "results")]
    assert main(["--experiment", "grid", *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["videos", "colour", "shape", "action", "BLEU-4", "CIDEr"]
    rows = {line[:22].strip(): line[22:].split() for line in lines[1:5]}
    assert rows["grid, test"][:4] == ["4", "0.500", "0.500", "0.500"]
    assert rows["seen pairs"][:4] == ["3", "0.667", "0.333", "0.667"]
    assert rows["unseen pairs"][:4] == ["1", "0.000", "1.000", "0.000"]
    assert rows["graphs of other videos"][0] == "4"
    assert "chance of action: 0.333" in lines[-1]


def test_mistakes_are_one_line(experiment, capsys):
    config = ["--config", str(config_file(experiment))]
    assert main(["--experiment", "gird", *config]) == 2
    assert "the configuration has grid" in capsys.readouterr().err
    assert main([*config, "--results", str(experiment / "none")]) == 2
    assert "truth.json does not exist: run make_shapes" in capsys.readouterr().err
    assert main(["--config", str(experiment / "absent.yaml")]) == 2
    assert "absent.yaml cannot be read as a configuration" in capsys.readouterr().err

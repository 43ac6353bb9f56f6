import csv
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close
from toys.captioner import DECODING, GRID_NODES, MODEL, TRAINING, Toys, write_further, write_toys

from pipeline.artifact import write_json
from pipeline.captioning import training as captioner_training
from pipeline.captioning.generation import caption_graphs
from pipeline.captioning.graph_set import load_graphs
from pipeline.captioning.model_file import load_captioner
from pipeline.captioning.training import CaptionerTraining, decay_groups, kept_by, learning_rate_scale
from pipeline.errors import PipelineError
from pipeline.jobs import training_run
from pipeline.models.action_graph import batch_graphs
from pipeline.stages.train_captioner import run
from pipeline.vocabulary import split_words

ROOT = Path(__file__).parents[2]
NOTHING_FURTHER = {"pair_motion": [], "knowledge": [], "objects": []}


def train(toys: Toys, folder: Path, **changes) -> tuple[bytes, list[dict[str, str]]]:
    """The bytes of the model, and the curves."""
    settings = {
        "model": MODEL,
        "training": TRAINING,
        "nodes": GRID_NODES,
        "seed": 1,
        "threads": 1,
        "checkpoints": folder / "checkpoints",
        **NOTHING_FURTHER,
    }
    out, curves = folder / "model.safetensors", folder / "curves.csv"
    run(
        graphs=[toys.graphs],
        captions=toys.captions,
        vocabulary=toys.vocabulary,
        out=out,
        curves=curves,
        **{**settings, **changes},
    )
    with curves.open() as file:
        return out.read_bytes(), list(csv.DictReader(file))


def test_the_learning_rate_rises_and_falls():
    assert [learning_rate_scale(step, 2, 6) for step in range(7)] == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]


def test_biases_and_norms_do_not_decay():
    layer = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3))
    decayed, others = decay_groups(layer, 0.1)
    assert [tuple(p.shape) for p in decayed["params"]] == [(3, 2)]
    assert len(others["params"]) == 3
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)


def test_a_split_without_graphs_is_said(tmp_path):
    toys = write_toys(tmp_path, num_train=3, num_val=1, num_test=1, without="video-3")
    with pytest.raises(PipelineError, match="none of the 1 videos of split 'val' has both a graph and a caption"):
        train(toys, tmp_path)


@pytest.mark.slow
def test_two_runs_give_the_same_bytes_and_the_test_split_none(tmp_path):
    """T8: what the test videos are called or show makes no difference."""
    toys = write_toys(tmp_path)
    first = train(toys, tmp_path / "first")
    dataset = json.loads(toys.captions.read_text())
    for video_id in dataset["splits"]["test"]:
        dataset["captions"][video_id] = ["something else altogether"]
    write_json(tmp_path / "changed.json", dataset)
    second = train(Toys(toys.graphs, tmp_path / "changed.json", toys.vocabulary), tmp_path / "second")
    assert first == second
    assert [row["epoch"] for row in first[1]] == ["1", "2", "3", "4"]
    assert [row["step"] for row in first[1]] == ["2", "4", "6", "8"]
    assert [row["val_cider"] != "" for row in first[1]] == [False, True, False, True]
    assert not list((tmp_path / "first" / "checkpoints").glob("*/*.ckpt"))
    assert train(toys, tmp_path / "third", seed=2)[0] != first[0]


class Killed(Exception):  # noqa: N818
    pass


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_nothing_had_been(tmp_path, monkeypatch):
    """The state is saved before an epoch is measured, so that is done again, and the steps after it."""
    toys = write_toys(tmp_path)
    undisturbed = train(toys, tmp_path / "undisturbed")
    whole, steps = CaptionerTraining.loss, []

    def killed_in_step_6(self, batch):
        steps.append(batch)
        if len(steps) == 6:
            raise Killed
        return whole(self, batch)

    monkeypatch.setattr(CaptionerTraining, "loss", killed_in_step_6)
    with pytest.raises(Killed):
        train(toys, tmp_path / "disturbed")
    assert not (tmp_path / "disturbed" / "model.safetensors").exists()
    begun, measured = [], []
    whole_batches, whole_end = CaptionerTraining.batches, CaptionerTraining.end_epoch

    def watched_batches(self, epoch, num_done):
        begun.append((epoch, num_done))
        return whole_batches(self, epoch, num_done)

    def watched_end(self, epoch, numbers_PK):
        measured.append(epoch)
        return whole_end(self, epoch, numbers_PK)

    monkeypatch.setattr(CaptionerTraining, "loss", whole)
    monkeypatch.setattr(CaptionerTraining, "batches", watched_batches)
    monkeypatch.setattr(CaptionerTraining, "end_epoch", watched_end)
    assert train(toys, tmp_path / "disturbed") == undisturbed
    assert begun == [(1, 2), (2, 0), (3, 0)]
    assert measured == [1, 2, 3]


@pytest.mark.slow
def test_a_checkpoint_after_every_step_changes_nothing(tmp_path, monkeypatch):
    toys = write_toys(tmp_path)
    undisturbed = train(toys, tmp_path / "undisturbed")
    monkeypatch.setattr(training_run, "SECONDS_BETWEEN", -1.0)
    saved = []
    write = training_run.write_checkpoint

    def counting(path, state):
        saved.append((len(state["records"]), len(state["ranks"][0]["numbers"])))
        write(path, state)

    monkeypatch.setattr(training_run, "write_checkpoint", counting)
    assert train(toys, tmp_path / "saved") == undisturbed
    assert saved == [(epoch, num_done) for epoch in range(4) for num_done in (1, 2)]


@pytest.mark.slow
def test_it_stops_and_keeps_the_best_when_captions_do_not_get_better(tmp_path, monkeypatch):
    toys = write_toys(tmp_path)
    scores = iter([0.1, 0.7, 0.5, 0.6])
    monkeypatch.setattr(captioner_training, "cider", lambda *_: next(scores))
    settings = TRAINING.model_copy(update={"epochs": 8, "validate_every": 1, "patience": 2})
    _, curves = train(toys, tmp_path, training=settings)
    assert [row["val_cider"] for row in curves] == ["0.100000", "0.700000", "0.500000", "0.600000"]


@pytest.mark.slow
def test_the_loss_chooses_where_cider_cannot_tell(tmp_path, capsys):
    """With one validation video CIDEr is 0 in every epoch: the first one was kept, and training stopped."""
    toys = write_toys(tmp_path, num_val=1)
    settings = TRAINING.model_copy(update={"epochs": 4, "validate_every": 1, "patience": 2, "lr": 3e-3})
    _, curves = train(toys, tmp_path, training=settings)
    assert [row["val_cider"] for row in curves] == ["0.000000"] * 4
    best = min(range(4), key=lambda epoch: float(curves[epoch]["val_loss"]))
    assert best > 0
    assert [row["kept_by"] for row in curves] == ["val_loss" if epoch == best else "" for epoch in range(4)]
    told = capsys.readouterr().err
    assert "WARNING: all validation videos have the same references, or there is only one: CIDEr is then 0" in told
    assert f"kept the weights of epoch {best + 1}, chosen by val_loss" in told


@pytest.mark.parametrize(
    ("scores", "kept", "chosen"),
    [([0.1, 0.7, 0.7], 3, "val_loss"), ([0.1, 0.7, None], 2, "val_cider"), ([None, None, None], 3, "epoch")],
)
def test_what_chose_the_weights_is_told(scores, kept, chosen):
    assert kept_by([{"val_cider": score} for score in scores], kept) == chosen


@pytest.mark.slow
def test_it_learns_what_the_graphs_show(tmp_path):
    toys = write_toys(tmp_path, num_train=12, num_val=3, num_test=3)
    dropless = MODEL.model_copy(update={"dropout": 0.0, "width": 32, "visual_width": 32, "graph_width": 32})
    settings = TRAINING.model_copy(update={"epochs": 60, "lr": 5e-3, "validate_every": 20, "label_smoothing": 0.05})
    _, curves = train(toys, tmp_path, model=dropless, training=settings)
    assert float(curves[-1]["train_loss"]) < 0.5 * float(curves[0]["train_loss"])
    model, vocabulary = load_captioner(tmp_path / "model.safetensors")
    dataset = json.loads(toys.captions.read_text())
    ids = dataset["splits"]["train"] + dataset["splits"]["test"]
    graphs = load_graphs([toys.graphs])
    for video_id, found in zip(ids, caption_graphs(model, vocabulary, [graphs[i] for i in ids], DECODING), strict=True):
        truths = {vocabulary.decode(vocabulary.encode(split_words(text))) for text in dataset["captions"][video_id]}
        assert found.text in truths
        assert found.right_to_left in truths


@pytest.mark.slow
def test_it_learns_what_the_knowledge_says(tmp_path):
    """Neither the graphs nor most reversed captions say who runs: whoever names them rightly has it from the rows."""
    toys = write_toys(tmp_path, num_train=18, num_val=3, num_test=3, told=False)
    knowledge = write_further(tmp_path, toys, told=True)["knowledge"]
    dataset = json.loads(toys.captions.read_text())
    for texts in dataset["captions"].values():
        texts[1:] = ["running home", "is running", "the home is running"]
    write_json(toys.captions, dataset)
    dropless = MODEL.model_copy(update={"dropout": 0.0, "width": 32})
    changes = {"epochs": 40, "lr": 5e-3, "captions_per_video": 4, "validate_every": 40, "label_smoothing": 0.05}
    train(toys, tmp_path, model=dropless, training=TRAINING.model_copy(update=changes), knowledge=knowledge)
    model, vocabulary = load_captioner(tmp_path / "model.safetensors")
    graphs = load_graphs([toys.graphs], knowledge=knowledge)
    start, backward = (torch.tensor([vocabulary.encode(text.split())[:-1]]) for text in ("a", "home running"))
    for video_id in dataset["splits"]["test"]:
        logits, _ = model(batch_graphs([graphs[video_id]]), start, backward, backward > 0, torch.tensor([0]))
        said = vocabulary.words[int(logits[0, -1].argmax())]
        assert dataset["captions"][video_id][0] == f"a {said} runs home."


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["concatenate", "sum"])
def test_a_run_with_everything_can_be_told_from_one_without(tmp_path, fusion):
    """Pairs, knowledge and objects, a video that has none of the two, and a model that is read back with all of it."""
    toys = write_toys(tmp_path)
    further = write_further(tmp_path, toys, without="video-1")
    model = MODEL.model_copy(update={"fusion": fusion, "pool": "padded", "knowledge_attention": "mha_position"})
    settings = TRAINING.model_copy(update={"epochs": 2})
    folder = tmp_path / "run"
    train(toys, folder, model=model, training=settings, **further)
    captioner, vocabulary = load_captioner(folder / "model.safetensors")
    # An object's box is embedded apart from its six features.
    assert (captioner.knowledge.norm.normalized_shape, captioner.objects.norm.normalized_shape) == ((7,), (6,))
    assert captioner.encoder_left_to_right.padded_to == 4
    graphs = load_graphs([toys.graphs], **further)
    assert all(found.text for found in caption_graphs(captioner, vocabulary, [graphs[i] for i in graphs], DECODING))
    train(toys, folder, model=model, training=settings)
    assert len(list((folder / "checkpoints").iterdir())) == 2  # other inputs, another run


RECORDED = """
import json, os, sys
from pathlib import Path

from pipeline.__main__ import main
from pipeline.captioning import training as captioner_training
from pipeline.captioning.training import PieceBatches

captioned, validated = [], []
whole_search, whole_batch = captioner_training.caption_graphs, PieceBatches.__getitem__

def search(model, vocabulary, graphs, settings):
    captioned.append(graphs.ids)
    return whole_search(model, vocabulary, graphs, settings)

def batch(self, piece):
    if self.videos.ids[0] == "video-9":
        validated.append([self.videos.ids[number] for number in dict.fromkeys(p.video for p in piece.pairs)])
    return whole_batch(self, piece)

captioner_training.caption_graphs, PieceBatches.__getitem__ = search, batch
code = main(sys.argv[2:])
record = {"captioned": captioned, "validated": validated}
Path(sys.argv[1], f"{os.environ['RANK']}.json").write_text(json.dumps(record))
sys.exit(code)
"""


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path):
    """T16: the number of processes is no setting; without dropout the weights are the same but for rounding."""
    toys, two = write_toys(tmp_path), tmp_path / "two"
    further = write_further(tmp_path, toys, without="video-1")
    settings = {"model": MODEL.model_copy(update={"dropout": 0.0})}
    _, curves = train(toys, tmp_path / "one", **settings, **further)
    two.mkdir()
    (tmp_path / "recorded.py").write_text(RECORDED)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(tmp_path / "recorded.py"), str(two), "train_captioner", "--graphs", str(toys.graphs)]
    for name, paths in further.items():
        command += [f"--{name.replace('_', '-')}", *map(str, paths)]
    command += ["--captions", str(toys.captions), "--vocabulary", str(toys.vocabulary)]
    command += ["--checkpoints", str(two / "checkpoints")]
    command += ["--out", str(two / "model.safetensors"), "--curves", str(two / "curves.csv")]
    command += ["--model", settings["model"].model_dump_json(), "--training", TRAINING.model_dump_json()]
    command += ["--nodes", GRID_NODES.model_dump_json(), "--seed", "1", "--threads", "1"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("train_captioner: epoch 1 of 4") == 1
    assert_trained_alike(tmp_path / "one", two)
    with (two / "curves.csv").open() as file:
        others = list(csv.DictReader(file))
    for row, other in zip(curves, others, strict=True):
        for key in ("epoch", "step"):
            assert row[key] == other[key]
        for key in ("train_loss", "train_left_to_right", "train_right_to_left", "val_loss"):
            assert float(other[key]) == pytest.approx(float(row[key]), abs=1e-4)
        assert (row["val_cider"] == "") == (other["val_cider"] == "")
    assert_every_video_was_validated_once(two)


def assert_trained_alike(one: Path, two: Path) -> None:
    weights, others = load_file(one / "model.safetensors"), load_file(two / "model.safetensors")
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        assert_close(others[name], tensor, atol=1e-3, rtol=1e-3, msg=lambda text, name=name: f"{name}: {text}")


def assert_every_video_was_validated_once(folder: Path) -> None:
    """In each of four validations, and in each of two searches; both processes have a share."""
    records = [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]
    for key, times in (("validated", 4), ("captioned", 2)):
        shares = [[video_id for part in record[key] for video_id in part] for record in records]
        assert all(shares)
        assert Counter(shares[0] + shares[1]) == dict.fromkeys(("video-9", "video-10", "video-11"), times)

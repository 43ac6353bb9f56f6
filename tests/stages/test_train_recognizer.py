import csv
import json
import math
from contextlib import nullcontext

import pytest
import torch
from toys.labelled_clips import AUGMENTATION, CLASSES, NODE_NORM, SIMPLE, VIEWS, settings, write_clips

from pipeline.__main__ import main
from pipeline.artifact import read_json, write_json
from pipeline.errors import PipelineError
from pipeline.jobs.rank_group import Ranks
from pipeline.recognition.kick_start import region_loss
from pipeline.recognition.model_file import describe, read_recognizer
from pipeline.recognition.recognizer import build_recognizer
from pipeline.recognition.training import RecognizerTraining
from pipeline.stages import train_recognizer
from pipeline.stages.train_recognizer import run
from pipeline.weights.saving import save_weights


def train(folder, flags, given, **others):
    arguments = {name.removeprefix("--"): value for name, value in flags.items()}
    places = {
        "checkpoints": folder / "checkpoints",
        "out": folder / "model.safetensors",
        "curves": folder / "curves.csv",
    }
    run(
        **{
            **arguments,
            "features": [],
            "groups": [],
            "part": None,
            "weights": [],
            "experts": [],
            "fronts": [],
            "teachers": [],
            "recognizer": given,
            "seed": 1,
            "threads": 1,
            **places,
            **others,
        }
    )
    with places["curves"].open() as file:
        return list(csv.DictReader(file))


def change_labels(path, change):
    content = read_json(path, [], "index_labels")
    change(content)
    write_json(path, content)


def test_lstms_in_bf16_are_refused_before_anything_is_learned(tmp_path, monkeypatch):
    """On a CPU that has none, the first batch would end in a traceback of oneDNN."""
    monkeypatch.setattr("pipeline.models.bf16_lstms.has_bf16_lstms", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    flags = write_clips(tmp_path, num_train=6, num_val=3)
    with pytest.raises(PipelineError, match="the network has LSTMs, and this CPU has none in bf16"):
        train(tmp_path, flags, settings({"precision": "bf16"}, modules=[NODE_NORM]))
    assert not (tmp_path / "model.safetensors").exists()


def test_it_learns_and_keeps_the_best_epoch(tmp_path):
    flags = write_clips(tmp_path, num_train=60, num_val=12)
    rows = train(tmp_path, flags, settings({"epochs": 6}, dropout=0.0))
    assert list(rows[0]) == ["epoch", "step", "train_loss", "train_top1", "val_loss", "val_top1", "lr", "kept_by"]
    assert [row["step"] for row in rows] == [str(15 * epoch) for epoch in range(1, 7)]
    accuracy = [float(row["val_top1"]) for row in rows]
    assert max(accuracy) > 0.8
    (kept,) = [number for number, row in enumerate(rows) if row["kept_by"]]
    assert accuracy[kept] == max(accuracy)
    trained = read_recognizer(tmp_path / "model.safetensors")
    assert trained.heads == {"class": CLASSES}
    assert trained.settings.backbone.filters == SIMPLE["filters"]


def test_summed_gradients_and_epochs_without_validation(tmp_path):
    """RSTG's sum over a step of four clips is as a mean with four times the learning rate."""
    flags = write_clips(tmp_path, num_train=8, num_val=3)
    recipe = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant", "warmup": 0.0}
    recipe |= {"clip_norm": None, "epochs": 3, "validate_every": 2}
    found = []
    for loss, lr in (("sum", 0.01), ("mean", 0.04)):
        folder = tmp_path / loss
        folder.mkdir()
        found.append(train(folder, flags, settings(recipe | {"loss": loss, "lr": lr}, dropout=0.0)))
    for one, other in zip(*found, strict=True):
        assert float(one["train_loss"]) == pytest.approx(float(other["train_loss"]), rel=1e-4)
    assert [row["val_top1"] != "" for row in found[0]] == [False, True, True]


def test_the_curves_have_the_rate_of_the_settings_and_not_that_of_the_head(tmp_path):
    flags = write_clips(tmp_path, num_train=4, num_val=2)
    recipe = {"epochs": 1, "lr": 0.001, "schedule": "constant", "warmup": 0.0, "multipliers": "tsm"}
    (row,) = train(tmp_path, flags, settings(recipe))
    assert row["lr"] == "0.001"


def test_a_few_clips_of_each_class(tmp_path):
    flags = write_clips(tmp_path, num_train=18)
    rows = train(tmp_path, flags, settings({"per_class": 2, "epochs": 1, "batch_size": 2}))
    assert rows[0]["step"] == "3"


def test_the_backbone_of_another_experiment(tmp_path):
    flags = write_clips(tmp_path, num_train=9)
    train(tmp_path, flags, settings({"epochs": 1}))
    (tmp_path / "other").mkdir()
    given = settings({"epochs": 1, "lr": 1e-9}, backbone=SIMPLE | {"weights": {"experiment": "first"}})
    train(tmp_path / "other", flags, given, weights=[tmp_path / "model.safetensors"])
    one, other = (read_recognizer(path / "model.safetensors").model for path in (tmp_path, tmp_path / "other"))
    difference = one.backbone.conv1.weight - other.backbone.conv1.weight
    assert difference.abs().max() < 1e-6


def test_weights_as_they_are_need_no_training(tmp_path):
    flags = write_clips(tmp_path, num_train=0)
    assert train(tmp_path, flags, settings({"epochs": 0, "schedule": "constant"})) == []
    assert read_recognizer(tmp_path / "model.safetensors").heads == {"class": CLASSES}


def test_an_epoch_whose_loss_is_not_finite_is_not_kept(tmp_path, monkeypatch, caplog):
    """The first class is told of all clips by logits that are no numbers, and 90 % of the clips have it."""
    flags = write_clips(tmp_path, num_train=4, num_val=2)
    found = iter([(1.0, 0.5), (math.nan, 0.9)])
    monkeypatch.setattr(RecognizerTraining, "_validate", lambda _: next(found))
    rows = train(tmp_path, flags, settings({"epochs": 2}))
    assert [row["kept_by"] for row in rows] == ["val_top1", ""]
    assert "epoch 2: the validation loss is nan: the training has diverged" in caplog.text


def val_takes_test(content):
    content["splits"]["val"] += content["splits"].pop("test")
    content["splits"]["test"] = []


def test_the_log_says_what_is_left_out_and_what_has_one_frame(tmp_path, caplog):
    """Stored are clips of 4 frames and of 5, in turn; of the last one of the validation split there is no frame."""
    flags = write_clips(tmp_path, num_train=6, num_val=2, num_test=1)
    change_labels(tmp_path / "labels.json", val_takes_test)
    caplog.set_level("INFO", "pipeline")
    train(tmp_path, flags, settings({"epochs": 1}, frames={"sampling": "segments", "number": 5, "stride": None}))
    assert "1 of 3 clips of split val have failed and are left out, such as test0" in caplog.text
    assert "3 of 6 training clips, such as train0, have fewer than frames: number: 5, and of these" in caplog.text


def test_of_several_ranks_the_first_alone_writes_weights_as_they_are(tmp_path, monkeypatch):
    flags = write_clips(tmp_path, num_train=0)
    (tmp_path / "curves.csv").write_text("of the first rank\n")
    monkeypatch.setattr(train_recognizer, "joined_ranks", lambda: nullcontext(Ranks(1, 2)))
    assert train(tmp_path, flags, settings({"epochs": 0, "schedule": "constant"})) == []
    assert (tmp_path / "curves.csv").read_text() == "of the first rank\n"
    assert not (tmp_path / "model.safetensors").exists()


def one_class(content):
    content["labels"] = {clip: [2] for clip in content["labels"]}


def no_partner(content):
    content["flips"] = {"class": None}


def no_validation(content):
    content["splits"]["val"] = []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (one_class, "all 6 training clips have the class no stripes"),
        (
            no_partner,
            "flip: swap_labels: .* has no mirrored partner, or they have no names, or are digits.: write flip",
        ),
        (no_validation, "none of the 0 clips of split 'val' has both a label and frames"),
    ],
)
def test_labels_that_cannot_be_learned(tmp_path, change, message):
    flags = write_clips(tmp_path, num_train=6)
    change_labels(tmp_path / "labels.json", change)
    with pytest.raises(PipelineError, match=message):
        train(tmp_path, flags, settings())


def test_a_module_where_the_backbone_has_no_such_block_ends_with_one_line(tmp_path, capfd):
    flags = write_clips(tmp_path, num_train=6)
    given = json.loads(settings().model_dump_json())
    module = {"kind": "dyreg", "at": "layer3.4", "inside": True, "node_dim": 8, "offset_dim": 4, "rounds": 1}
    module |= {"stages": "all", "anchors": "grid", "generator": "big", "regions": "dynamic", "residual": True}
    given["modules"] = [module]
    arguments = ["train_recognizer", "--clips", *map(str, flags["--clips"]), "--labels", str(flags["--labels"])]
    arguments += [
        "--features",
        "--groups",
        "--part",
        "null",
        "--weights",
        "--experts",
        "--fronts",
        "--teachers",
        "--recognizer",
        json.dumps(given),
        "--seed",
        "1",
        "--threads",
        "1",
    ]
    arguments += ["--checkpoints", str(tmp_path / "c"), "--out", str(tmp_path / "m"), "--curves", str(tmp_path / "v")]
    assert main(arguments) == 2
    error = capfd.readouterr().err
    assert "modules: at: layer3.4 of dyreg: this backbone has no such place; it has " in error
    assert "Traceback" not in error


def dyreg(place):
    module = {"kind": "dyreg", "at": place, "inside": False, "node_dim": 8, "offset_dim": 4, "rounds": 1}
    return module | {"stages": "all", "anchors": "grid", "generator": "big", "regions": "dynamic", "residual": True}


def test_regions_of_another_model_are_learned_first(tmp_path):
    """A kick-start of all steps, with a weight beside which labels count for nothing, brings the regions nearer."""
    flags = write_clips(tmp_path, num_train=12)
    recipe = {
        "epochs": 6,
        "validate_every": 6,
        "batch_size": 2,
        "lr": 0.03,
        "schedule": "constant",
        "warmup": 0.0,
        "clip_norm": None,
    }
    augmentation = AUGMENTATION | {"size": 48, "crop": "whole", "flip": "none", "brightness": 0.0}
    sizes = {"augmentation": augmentation, "views": VIEWS | {"short_side": None, "spatial": 1, "size": 48}}
    torch.manual_seed(3)
    teacher = build_recognizer(settings(modules=[dyreg("conv1")], **sizes), {"class": 3}).eval()
    teacher.graph("conv1").proposals.offset_scale.data.fill_(
        1.0
    )  # 0 at the beginning: regions lie where their anchors do
    path = tmp_path / "teacher.safetensors"
    save_weights(
        teacher.state_dict(), path, describe(settings(modules=[dyreg("conv1")], **sizes), {"class": CLASSES}, "")
    )
    kick_start = {"teachers": {"conv1": "first"}, "share": 1.0, "weight": 1000.0}
    x = torch.randint(0, 256, (4, 3, 1, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    distance = {}
    for name, taught in (("alone", None), ("taught", kick_start)):
        (tmp_path / name).mkdir()
        student = settings(recipe | {"kick_start": taught}, modules=[dyreg("conv1")], **sizes)
        train(tmp_path / name, flags, student, seed=2, teachers=[path] if taught else [])
        model = read_recognizer(tmp_path / name / "model.safetensors").model
        distance[name] = region_loss(model.with_regions(x)[1], teacher.with_regions(x)[1]).item()
    print(distance)
    assert distance["taught"] < distance["alone"] / 2

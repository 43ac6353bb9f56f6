"""Parts of TSTL as `train_recognizer` trains them, over tiny experts."""

import csv
import signal

import pytest
from toys.killed_stages import run_stage
from toys.tiny_tstl import CLASSES, GROUPS, ONE_GROUP, cast_settings, write_experts, write_labelled

from pipeline.__main__ import main
from pipeline.artifact import write_json
from pipeline.recognition.cast_file import read_cast

BALANCED = {"batch_size": 4, "balanced": {"classes": 2, "clips": 2}, "epochs": 2}
TRIPLET = BALANCED | {"triplet": {"weight": 0.5, "margin": 1.0}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tstl")
    flags = write_labelled(folder, 16, 4, 1)
    write_json(folder / "one.json", ONE_GROUP)
    return flags, folder / "groups.json", folder / "one.json", write_experts(folder)


def arguments(made, out, training, group="whole", one_group=False, **others):
    flags, two, one, experts = made
    groups = [] if group == "whole" else [one if one_group else two]
    part = "null" if group == "whole" else f'{{"groups": "some", "group": {group}}}'
    given = ["train_recognizer", "--features", "--fronts", "--weights", "--teachers", "--clips", *flags["--clips"]]
    given += ["--labels", flags["--labels"], "--groups", *groups, "--part", part, "--experts", *experts]
    given += ["--recognizer", cast_settings(training, **others).model_dump_json(), "--seed", 1, "--threads", 1]
    given += ["--checkpoints", out / "checkpoints", "--out", out / "model.safetensors", "--curves", out / "curves.csv"]
    return [str(word) for word in given]


def curves(out):
    with (out / "curves.csv").open() as file:
        return list(csv.DictReader(file))


def trained(made, out, *given, **others):
    out.mkdir()
    assert main(arguments(made, out, *given, **others)) == 0
    return read_cast(out / "model.safetensors", made[3])


def test_a_selector_has_the_groups_and_an_expert_all_classes(made, tmp_path):
    selector = trained(made, tmp_path / "selector", {"epochs": 1}, "null")
    assert selector.heads == {"group": GROUPS["names"]}
    expert = trained(made, tmp_path / "expert", {"epochs": 1}, 1)
    assert expert.heads == {"class": CLASSES}
    # Sixteen clips in steps of four, of which eight are of group 1.
    assert [curves(tmp_path / part)[0]["step"] for part in ("selector", "expert")] == ["4", "2"]


def test_the_expert_of_the_only_group_is_plain_cast_to_the_last_bit(made, tmp_path):
    trained(made, tmp_path / "plain", {"epochs": 1})
    trained(made, tmp_path / "expert", {"epochs": 1}, 0, one_group=True)
    for name in ("model.safetensors", "curves.csv"):
        assert (tmp_path / "expert" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    selector = trained(made, tmp_path / "selector", {"epochs": 1}, "null", one_group=True)
    assert selector.heads == {"group": ["0: all"]}
    assert curves(tmp_path / "selector")[0]["train_loss"] == "0"


def test_balanced_steps_have_all_clips_and_triplets_cost_something(made, tmp_path):
    trained(made, tmp_path / "balanced", BALANCED)
    trained(made, tmp_path / "triplet", TRIPLET)
    plain, with_triplets = (curves(tmp_path / name) for name in ("balanced", "triplet"))
    assert [row["step"] for row in plain] == ["4", "8"]
    # The first epoch's rows are of the labels alone; what triplets taught shows in the second.
    assert plain[1]["train_loss"] != with_triplets[1]["train_loss"]


@pytest.mark.slow
def test_two_ranks_learn_what_one_does(made, tmp_path):
    """Steps of two classes with two clips each, one piece of them here and one there."""
    trained(made, tmp_path / "one", TRIPLET, "null")
    (tmp_path / "two").mkdir()
    assert run_stage(arguments(made, tmp_path / "two", TRIPLET, "null"), tmp_path / "log", num_ranks=2) == [0, 0]
    for one, two in zip(curves(tmp_path / "one"), curves(tmp_path / "two"), strict=True):
        for column in ("train_loss", "val_loss"):
            assert float(two[column]) == pytest.approx(float(one[column]), rel=1e-3)


@pytest.mark.slow
def test_after_sigterm_an_expert_goes_on_to_the_same_bytes(made, tmp_path):
    trained(made, tmp_path / "undisturbed", TRIPLET, 1)
    (tmp_path / "disturbed").mkdir()
    given = arguments(made, tmp_path / "disturbed", TRIPLET, 1)
    assert run_stage(given, tmp_path / "log", signal.SIGTERM, after_step=1) == [143]
    assert run_stage(given, tmp_path / "log") == [0]
    assert "continuing after step 1 of epoch 1" in (tmp_path / "log").read_text()
    for name in ("model.safetensors", "curves.csv"):
        assert (tmp_path / "disturbed" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()


@pytest.mark.parametrize(
    ("training", "others", "message"),
    [
        ({"balanced": {"classes": 2, "clips": 4}}, {}, "`classes` times `clips` are the clips of a step"),
        (BALANCED | {"epoch_clips": 8}, {}, "an epoch has all clips: write `epoch_clips: null`"),
        (TRIPLET | {"accumulate": 2}, {}, "`triplet` compares all clips of a step at once: write `accumulate: 1`"),
        (TRIPLET, {"stored_views": 2}, "`stored_views` keeps tokens: write one of them"),
    ],
    ids=["another batch size", "fewer clips", "pieces", "stored views"],
)
def test_settings_that_do_not_fit_are_refused(training, others, message):
    with pytest.raises(ValueError, match=message):
        cast_settings(training, **others)


def test_a_step_too_small_for_its_pieces_is_refused_in_one_line(made, tmp_path, capfd):
    assert main(arguments(made, tmp_path, BALANCED | {"accumulate": 8}, 0)) == 2
    assert "training: balanced: steps may have no more than 4 clips, fewer than 8 for 1" in capfd.readouterr().err

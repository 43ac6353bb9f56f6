import os
import re
import signal

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.testing import assert_close
from toys.line_task import NUM_POINTS, LineTask, fit, fit_in
from toys.rank_processes import on_ranks

from pipeline.jobs import preemption, training_run
from pipeline.jobs.rank_group import Ranks
from pipeline.jobs.training_run import read_checkpoint
from pipeline.training.loop import _own_numbers, train


def same(one, other):
    return one[0] == other[0] and all(torch.equal(one[1][name], other[1][name]) for name in one[1])


def test_steps_are_those_written_out(tmp_path):
    """Two epochs of three steps: gradients of two pieces added up, cut, a step, and the next rate."""
    trained, weights = fit(tmp_path, epochs=2, accumulate=2, clip_norm=0.5)
    task = LineTask(Ranks())
    line, recipe, losses = task.module, task.recipe, []
    for epoch in range(2):
        total = 0.0
        for batch in task.batches(epoch, 0):
            loss = (line(batch) - (2 * batch - 1)).square().sum() / 4
            recipe.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(line.parameters(), 0.5)
            recipe.optimizer.step()
            recipe.schedule.step()
            total += loss.item()
        losses.append(total)
    assert [record["loss"] for record in trained.records] == pytest.approx(losses)
    assert_close(weights, line.state_dict())


def test_the_weights_with_the_best_score_are_kept_of_equal_ones_the_first(tmp_path):
    _, early = fit(tmp_path / "early", epochs=2, scores=(0.1, 0.7))
    trained, weights = fit(tmp_path / "late", epochs=5, scores=(0.1, 0.7, None, 0.7, 0.2))
    assert trained.kept_epoch == 2
    assert len(trained.records) == 5
    # The schedule does not depend on the number of epochs, so these are the weights after the second one.
    assert all(torch.equal(weights[name], early[name]) for name in early)


def test_where_scores_are_equal_their_further_numbers_decide(tmp_path):
    scores = ((0.0, -3.0), (0.0, -2.0), (0.0, -2.5), (0.0, -1.0), (0.0, -1.0))
    trained, _ = fit(tmp_path / "equal", epochs=5, scores=scores)
    assert trained.kept_epoch == 4
    trained, _ = fit(tmp_path / "better", epochs=3, scores=((0.1, -9.0), (0.2, -9.5), (0.1, -1.0)))
    assert trained.kept_epoch == 2
    trained, _ = fit(tmp_path / "patient", epochs=5, patience=1, scores=((0.0, -3.0), (0.0, -2.0), (0.0, -2.5)))
    assert (trained.kept_epoch, len(trained.records)) == (2, 3)


def test_without_scores_the_last_weights_are_kept(tmp_path):
    trained, _ = fit(tmp_path, epochs=4)
    assert trained.kept_epoch == 4


def test_it_stops_when_scores_have_not_become_better_for_long(tmp_path):
    trained, _ = fit(tmp_path, epochs=9, patience=2, scores=(0.1, 0.7, 0.5, None, 0.6, 0.9))
    assert trained.kept_epoch == 2
    assert [record["val"]["score"] for record in trained.records] == [0.1, 0.7, 0.5, None, 0.6]


class Killed(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize("piece", range(1, 19))
def test_killed_anywhere_it_goes_on_to_the_same_bytes(tmp_path, monkeypatch, piece):
    """Dropout included, of which the generator's state is saved, not a seed; saved after every step."""
    settings = {"dropout": 0.5, "accumulate": 2, "scores": (0.3, 0.2, 0.3), "epochs": 3}
    undisturbed = fit(tmp_path / "undisturbed", **settings)
    monkeypatch.setattr(training_run, "SECONDS_BETWEEN", -1.0)
    computed = 0

    def kill(_):
        nonlocal computed
        computed += 1
        if computed == piece:
            raise Killed

    with pytest.raises(Killed):
        fit(tmp_path / "disturbed", watch=kill, **settings)
    computed = 100
    assert same(fit(tmp_path / "disturbed", watch=kill, **settings), undisturbed)
    assert computed - 100 == 18 - (piece - 1) // 2 * 2  # only the step that was not whole is done again


def test_of_a_part_that_is_frozen_nothing_is_kept(tmp_path, monkeypatch):
    """A frozen layer before the line, as CAST's experts: the checkpoint and the best epoch hold the line alone."""
    monkeypatch.setattr(training_run, "SECONDS_BETWEEN", -1.0)
    undisturbed = fit(tmp_path / "undisturbed", scores=(0.1, 0.3, 0.2))
    with training_run.training_run(tmp_path / "checkpoints", {}, [tmp_path / "out"]) as run:
        task = LineTask(run.ranks, scores=(0.1, 0.3, 0.2))
        task.module = nn.Sequential(nn.Linear(1, 1).requires_grad_(False), task.learned)
        nn.init.ones_(task.module[0].weight)
        nn.init.zeros_(task.module[0].bias)
        trained = train(task, run)
        saved = run.read_checkpoint()
        (tmp_path / "out").touch()
    line = set(task.learned.state_dict())
    assert len(line) == 2
    assert set(saved["learned"]) == set(saved["best"]) == line
    assert same((trained, task.learned.state_dict()), undisturbed)


def test_sigterm_is_met_after_the_step_in_hand(tmp_path, capsys):
    undisturbed = fit(tmp_path / "undisturbed")
    seen = []

    def tell(batch):
        seen.append(batch)
        if len(seen) == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    message = "stopped by SIGTERM after step 1 of epoch 2; the next call goes on from there"
    with pytest.raises(preemption.Preempted, match=message), preemption.catching_sigterm():
        fit(tmp_path / "disturbed", watch=tell)
    assert len(seen) == 4
    capsys.readouterr()
    assert same(fit(tmp_path / "disturbed"), undisturbed)
    log = capsys.readouterr().err.splitlines()
    assert log[0] == "fit_line: continuing after step 1 of epoch 2"
    assert [re.sub(r"[\d.]+ s$", "s", line) for line in log[1:]] == [
        f"fit_line: epoch {record['epoch']}, loss {record['loss']:.3f}, s" for record in undisturbed[0].records[1:]
    ]


def test_a_damaged_checkpoint_is_said_and_training_starts_afresh(tmp_path, capsys):
    undisturbed = fit(tmp_path / "undisturbed")

    def kill(_):
        raise Killed

    with pytest.raises(Killed), training_run.training_run(tmp_path / "c", {}, [tmp_path / "out"]) as run:
        fit_in(run, epochs=1)
        raise Killed
    path = run.folder / training_run.LAST
    assert read_checkpoint(path)["records"] == []
    path.write_bytes(path.read_bytes()[:-1])
    with training_run.training_run(tmp_path / "c", {}, [tmp_path / "out"]) as run:
        trained, task = fit_in(run)
        (tmp_path / "out").touch()
    assert same((trained, task.module.state_dict()), undisturbed)
    assert "cannot be used (its digest is another one): training starts afresh" in capsys.readouterr().err


def test_the_generators_of_whoever_calls_are_left_alone(tmp_path):
    with training_run.training_run(tmp_path, {}, [tmp_path / "out"]) as run:
        task = LineTask(run.ranks, dropout=0.5)
        torch.manual_seed(8)
        before = torch.get_rng_state()
        train(task, run)
        (tmp_path / "out").touch()
    assert torch.equal(torch.get_rng_state(), before)


def test_every_number_of_a_record_becomes_a_curve(tmp_path):
    with training_run.training_run(tmp_path, {}, [tmp_path / "out"]) as run:
        trained, _ = fit_in(run, scores=(0.5, None, 0.25))
        (tmp_path / "out").touch()
    curves = EventAccumulator(str(run.folder / "tensorboard")).Reload()
    assert set(curves.Tags()["scalars"]) == {"epoch", "loss", "points", "val/score"}
    assert [(event.step, event.value) for event in curves.Scalars("val/score")] == [(3, 0.5), (9, 0.25)]
    losses = [record["loss"] for record in trained.records]
    assert [event.value for event in curves.Scalars("loss")] == pytest.approx(losses)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [4, 5])
def test_two_ranks_train_what_one_does(tmp_path, batch_size):
    """Also of batches that cannot be shared equally: a step of SGD is as long as the gradient, so sums must be sums."""
    settings = {"accumulate": 2, "clip_norm": 0.5, "batch_size": batch_size, "epochs": 3, "scores": (0.1, 0.3, 0.2)}
    trained, weights = fit(tmp_path / "one", **settings)
    found = on_ranks(2, fit_with, tmp_path / "two", settings)
    for other, others in found:
        assert other.kept_epoch == trained.kept_epoch == 2
        assert [record["points"] for record in other.records] == [NUM_POINTS] * 3
        losses = [record["loss"] for record in trained.records]
        assert [record["loss"] for record in other.records] == pytest.approx(losses, rel=1e-5)
        assert_close({name: torch.tensor(value) for name, value in others.items()}, weights)


def fit_with(folder, settings):
    trained, weights = fit(folder, **settings)
    return trained, {name: tensor.tolist() for name, tensor in weights.items()}


def test_of_what_ranks_have_measured_each_takes_its_own_and_others_the_sum():
    saved = [torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[10.0, 20.0], [30.0, 40.0]])]
    assert _own_numbers(saved, 1, 2).tolist() == [[10.0, 20.0], [30.0, 40.0]]
    assert _own_numbers(saved, 0, 1).tolist() == [[11.0, 22.0], [33.0, 44.0]]
    assert [_own_numbers(saved, rank, 3).sum().item() for rank in range(3)] == [110.0, 0.0, 0.0]

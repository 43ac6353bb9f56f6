"""The step and the step before do the same training, on crops that are the same."""

import json

import numpy as np
import pytest
import torch

from benchmarks import retrieval_step
from benchmarks.retrieval_step import ENCODER, both_ways, plain_crops
from pipeline.config import Clip4ClipSettings
from pipeline.finetuning.retrieval import random_crops

DEMO = Clip4ClipSettings.model_validate_json(json.dumps(ENCODER))


def small(**tuning: object) -> Clip4ClipSettings:
    return DEMO.model_copy(update={"finetune": DEMO.finetune.model_copy(update=tuning)})


@pytest.fixture
def one_thread():
    """Sums of one thread are the longest ones, and the least precise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_ten_steps_of_the_demo_have_the_losses_of_the_step_before():
    """PyTorch's own batch norm, with channels last, would be off by 2e-5."""
    ours, before = both_ways(DEMO)
    losses, expected = ([step() for _ in range(10)] for step in (ours, before))
    assert losses == pytest.approx(expected, rel=1e-5)
    assert losses[9] != pytest.approx(losses[1], rel=1e-2)  # another step on the same batch
    assert all(group["fused"] for group in ours.task.recipe.optimizer.param_groups)
    assert not any(group["fused"] for group in before.task.recipe.optimizer.param_groups)


@pytest.mark.parametrize("scale", [(0.2, 1.0), (0.9, 1.0), (0.05, 0.1)])
def test_crops_are_those_of_the_general_way(scale):
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 40, 57, 3), dtype=np.uint8))
    for seed in range(10):
        ours, plain = (cut(frames, 16, scale, 3, np.random.default_rng(seed)) for cut in (random_crops, plain_crops))
        assert torch.equal(ours, plain)


def test_rows_compare_the_step_with_the_one_before_and_with_the_rate(monkeypatch):
    monkeypatch.setattr(retrieval_step, "ENCODER", json.loads(small(batch_size=2, frames=1).model_dump_json()))
    monkeypatch.setattr(retrieval_step, "NUM_BATCHES", 1)
    step, of_rate, crops = retrieval_step.rows(1)
    assert (step.goal, step.unit, of_rate.unit, crops.goal) == (2, "x", "%", None)
    assert 0 < of_rate.ratio < 1
    now, before = (float(text.partition(" ms")[0].rpartition(" ")[2]) for text in (crops.now, crops.peer))
    assert (before - 0.05) / (now + 0.05) <= crops.ratio <= (before + 0.05) / (now - 0.05)  # of times to a tenth

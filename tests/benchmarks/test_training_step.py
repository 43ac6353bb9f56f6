"""Both ways of the benchmark do the same training."""

import pytest
import torch
from toys.captioner import MODEL, TRAINING

from benchmarks import training_step
from benchmarks.training_step import both_ways, random_videos, step_before

SMALL = TRAINING.model_copy(update={"batch_size": 9, "captions_per_video": 2, "clip_norm": 0.5})


def test_ten_steps_have_the_losses_of_the_plain_way():
    """Factorised edges, shared graphs, packed captions, boxes embedded once and fused AdamW change no training."""
    settings = MODEL.model_copy(update={"dropout": 0.0})
    ours, plain = both_ways(settings, SMALL, torch.float32)
    losses, expected = ([step() for _ in range(10)] for step in (ours, plain))
    assert losses == pytest.approx(expected, rel=1e-5)
    assert losses[9] < 0.95 * losses[0]


def test_ten_steps_have_the_losses_of_the_step_before():
    settings = MODEL.model_copy(update={"dropout": 0.0})
    ours, _ = both_ways(settings, SMALL, torch.float32)
    before = step_before(ours, settings, torch.float32)
    losses, expected = ([step() for _ in range(10)] for step in (ours, before))
    assert losses == pytest.approx(expected, rel=1e-5)


def test_the_step_before_computes_what_differs():
    """Its classes are those of then, in every place, and it has the dropout that the demo had."""
    ours, _ = both_ways(MODEL, SMALL, torch.float32)
    kinds = {type(module).__name__ for module in step_before(ours, MODEL, torch.float32).model.modules()}
    assert {"AttentionBefore", "BoxPositionBefore", "ConvBefore", "DropoutBefore"} <= kinds
    assert not kinds & {"Attention", "BoxPosition", "FactorisedTransformerConv", "Dropout"}


def test_the_batch_has_the_sizes_of_the_demo():
    ours, plain = both_ways(
        MODEL, TRAINING.model_copy(update={"batch_size": 32, "captions_per_video": 3}), torch.float32
    )
    (batch,) = ours.batches
    assert batch.graphs.x.shape == (32 * 8 * 9, 128)
    assert batch.graphs.num_edges == 32 * (8 + 7) * 81
    assert len(batch.caption_graph) == 96
    assert [part.graphs.num_graphs for part in plain.batches] == [16] * 6
    assert {part.num_tokens for part in plain.batches} == {batch.num_tokens}


def test_cells_of_a_frame_have_the_boxes_of_a_grid():
    _, graphs = random_videos(1, 1)
    box = graphs["video0"].node_box
    assert box.shape == (72, 4)
    assert len(box.unique(dim=0)) == 9
    assert torch.allclose(box[:, 2:] - box[:, :2], torch.tensor(1 / 3))


def test_rows_compare_the_step_with_the_rate_and_with_both_other_ways(monkeypatch):
    small = {"model": MODEL.model_dump(), "training": {**SMALL.model_dump(), "batch_size": 2}}
    monkeypatch.setattr(training_step, "CAPTIONER", small)
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: False)
    of_rate, of_before, of_reference = training_step.rows(1)
    assert [(row.goal, row.unit) for row in (of_rate, of_before, of_reference)] == [(0.5, "%"), (2.5, "x"), (20, "x")]
    assert 0 < of_rate.ratio < 1
    ours, plain = (float(text.split()[-2]) for text in (of_reference.now, of_reference.peer))
    assert of_reference.ratio == pytest.approx(ours / plain, rel=0.05)

"""A step is the same whoever computes its pieces: with mixed clips, dropout and drop path, loss and gradients agree."""

import pytest
import torch
from torch.testing import assert_close
from toys.labelled_clips import AUGMENTATION, settings, write_clips

from pipeline.artifact.clip_store import ClipStore
from pipeline.config import MixupSettings
from pipeline.jobs.rank_group import Ranks
from pipeline.recognition.batches import ClipBatch, EpochPlan
from pipeline.recognition.clip_source import FrameSource
from pipeline.recognition.labels import read_labels
from pipeline.recognition.recognizer import build_recognizer
from pipeline.recognition.split_clips import labelled_clips, training_clips
from pipeline.recognition.training import ClipData, RecognizerTraining, _numbers, mixed_loss

MIXUP = MixupSettings(alpha=0.8, share=1.0)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    flags = write_clips(folder, num_train=12)
    return ClipStore(flags["--clips"]), read_labels(flags["--labels"])


def step_of(clips, num_processes, accumulate):
    """Summed loss, hits and gradients of one step, as its pieces are computed one after another."""
    store, labels = clips
    augmentation = AUGMENTATION | {"mixup": MIXUP.model_dump(), "rand_augment": None}
    given = settings({"label_smoothing": 0.1, "loss": "mean"}, dropout=0.3, augmentation=augmentation)
    torch.manual_seed(1)
    model = build_recognizer(given, labels.widths)
    source = FrameSource(store, given.frames, given.augmentation, given.views.short_side, 1)
    train = training_clips(labels, store.ids, None, "swap_labels", 1)
    plan = EpochPlan(len(train.ids), 7, accumulate, None, 3, num_processes)
    data = ClipData(plan, train, labelled_clips(labels, "val", store.ids), source, 1, MIXUP)
    task = RecognizerTraining(model, model.heads, data, given.training, 3, Ranks())
    task.module.train()
    loss, numbers = torch.zeros(()), torch.zeros(3)
    for process in range(num_processes):
        for batch in list(data.train_batches(0, process))[:accumulate]:
            own, found = task.loss(batch)
            own.backward()
            loss, numbers = loss + own.detach(), numbers + found
    return loss, numbers, [parameter.grad for parameter in model.parameters()]


def test_ranks_and_accumulation_change_nothing_of_a_step(clips):
    """Twelve clips in two steps: of six clips each, and so of one, two or three pieces."""
    whole = step_of(clips, 1, 1)
    assert whole[2][0].abs().max() > 0
    for num_processes, accumulate in ((2, 1), (1, 2), (3, 1), (2, 2)):
        assert_close(step_of(clips, num_processes, accumulate), whole)


def test_mixed_targets_by_hand():
    """Labels 0 and 2 of three classes to 0.7 and 0.3, smoothed by 0.3: 0.7 * 0.7 + 0.1, 0.1, and 0.3 * 0.7 + 0.1."""
    logits = {"class": torch.tensor([[1.0, 0.0, -1.0]])}
    batch = ClipBatch(*[torch.zeros(1)] * 5, torch.tensor([[2]]), 0.7)._replace(labels=torch.tensor([[0]]))
    target = torch.tensor([[0.59, 0.1, 0.31]])
    assert_close(mixed_loss(logits, batch, 0.3), -(target * logits["class"].log_softmax(1)).sum())
    assert _numbers(torch.tensor(1.5), logits, batch).tolist() == pytest.approx([1.5, 0.7, 1.0])
    assert _numbers(torch.tensor(1.5), {"class": logits["class"].flip(1)}, batch).tolist() == pytest.approx(
        [1.5, 0.3, 1]
    )
    assert _numbers(torch.tensor(1.5), logits, batch._replace(share=1.0)).tolist() == [1.5, 1.0, 1.0]

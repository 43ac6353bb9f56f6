from collections import Counter

import numpy as np
import pytest

from pipeline.artifact import create
from pipeline.config import ClipAugmentationSettings, ClipSamplingSettings, MixupSettings
from pipeline.errors import PipelineError
from pipeline.recognition.batches import (
    BatchesAhead,
    EpochPlan,
    Piece,
    PieceBatches,
    made_ahead,
    pieces_of,
    seed_of,
    share_of,
    validation_pieces,
)
from pipeline.recognition.clip_source import FeatureSource, FrameSource
from pipeline.recognition.labelled_clips import LabelledClips
from pipeline.schemas import FEATURES

FRAMES = ClipSamplingSettings(sampling="segments", number=3, stride=None)
AUGMENTATION = ClipAugmentationSettings(
    size=6, crop="random", flip="swap_labels", brightness=0.2, rand_augment=None, mixup=None
)


class Clips:
    """Clips of 6 frames of 8 x 10 pixels, and how often frames were read."""

    def __init__(self, colours=1):
        self.colours = colours
        self.reads = 0

    def num_frames(self, _):
        return 6

    def size(self, _):
        return 8, 10

    def read(self, clip_id, numbers):
        self.reads += 1
        whole = np.random.default_rng(int(clip_id)).integers(0, 256, (6, 8, 10, self.colours), dtype=np.uint8)
        return whole[numbers]


def ids(number):
    return [str(i) for i in range(number)]


def batches(num_clips=8, seed=1, clips=None, held=True, mixup=None):
    clips = clips or Clips()
    source = FrameSource(clips, FRAMES, AUGMENTATION, None, 1)
    if held:
        source.hold(ids(num_clips))
    labelled = LabelledClips(ids(num_clips), [[i % 3] for i in range(num_clips)], [[1, 0, 2]])
    return PieceBatches(labelled, source, seed, mixup)


def piece(epoch, numbers, num_clips, step=0, partners=None):
    return Piece(epoch, numbers, num_clips, step, partners or numbers)


def plan(num_clips=20, batch_size=6, accumulate=1, epoch_clips=None, num_processes=1):
    return EpochPlan(num_clips, batch_size, accumulate, epoch_clips, 5, num_processes)


def test_a_step_has_the_same_clips_however_many_processes_share_it():
    steps = [set(piece.numbers) for piece in plan().draw(2, 0)]
    assert [len(step) for step in steps] == [7, 7, 6]
    assert set.union(*steps) == set(range(20))
    for processes, accumulate in ((2, 1), (1, 3), (3, 2)):
        shared = plan(accumulate=accumulate, num_processes=processes)
        own = [shared.draw(2, process) for process in range(processes)]
        for number, step in enumerate(steps):
            pieces = [piece for of in own for piece in of[number * accumulate : (number + 1) * accumulate]]
            assert {piece.step for piece in pieces} == {number}
            assert Counter(i for piece in pieces for i in piece.numbers) == Counter(step)
            assert {piece.num_clips for piece in pieces} == {len(step)}
    assert plan().draw(3, 0) != plan().draw(2, 0)


def test_an_epoch_of_some_clips_goes_on_with_others_until_all_were_seen():
    few = plan(epoch_clips=5)
    assert few.epochs_per_pass == 4
    epochs = [[i for piece in few.draw(epoch, 0) for i in piece.numbers] for epoch in range(8)]
    for start in (0, 4):
        assert sorted(i for epoch in epochs[start : start + 4] for i in epoch) == list(range(20))
    assert epochs[:4] != epochs[4:]
    assert plan(epoch_clips=50).epochs_per_pass == 1


def test_a_piece_without_a_clip_is_a_mistake():
    plan(batch_size=6, accumulate=3, num_processes=2).check()
    with pytest.raises(PipelineError, match="20 training clips in 10 steps leave fewer than 4 a step"):
        plan(batch_size=2, accumulate=2, num_processes=2).check()


def test_validation_has_every_clip_once_in_the_same_batches():
    one = [piece.numbers for piece in validation_pieces(10, 4, 0, 1)]
    assert one == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    two = [piece.numbers for rank in range(2) for piece in validation_pieces(10, 4, rank, 2)]
    assert sorted(two) == one


def test_what_is_random_follows_from_seed_epoch_and_clip():
    whole = batches()[piece(3, [0, 1, 2, 3], 4)]
    parts = [batches(held=held)[piece(3, numbers, 4)] for held, numbers in ((True, [3, 1]), (False, [2, 0]))]
    for place, numbers in zip(parts, ([3, 1], [2, 0]), strict=True):
        assert (place.x == whole.x[numbers]).all()
        assert (place.labels == whole.labels[numbers]).all()
    others = [batches()[piece(4, [0, 1, 2, 3], 4)], batches(seed=2)[piece(3, [0, 1, 2, 3], 4)]]
    assert all((other.x != whole.x).any() for other in others)


def test_labels_of_mirrored_clips_are_swapped_and_validation_has_none():
    made = batches(num_clips=30)
    labels = [made[piece(epoch, list(range(30)), 30)].labels[:, 0].tolist() for epoch in range(6)]
    swapped = {(i % 3, row[i]) for row in labels for i in range(30)}
    assert swapped == {(0, 0), (0, 1), (1, 1), (1, 0), (2, 2)}
    assert made[piece(None, list(range(30)), 30)].labels[:, 0].tolist() == [i % 3 for i in range(30)]


def test_clips_that_fit_are_decoded_once():
    held, read = Clips(), Clips()
    for clips, holds in ((held, True), (read, False)):
        made = batches(clips=clips, held=holds)
        for epoch in range(3):
            list(BatchesAhead(made, [piece(epoch, [0, 1], 4), piece(epoch, [2, 3], 4)], 2))
    assert held.reads == 1 + 4  # one says how many colours there are
    assert read.reads == 3 * 4


def test_grey_frames_get_three_colours_and_colours_do_not_get_lost():
    grey = FrameSource(Clips(), FRAMES, AUGMENTATION, None, 3).validation_clip("0")
    assert grey.shape == (3, 3, 6, 6)
    assert (grey == grey[:, :1]).all()
    with pytest.raises(PipelineError, match="colours: 1, but the stored frames have 3: write colours: 3"):
        FrameSource(Clips(3), FRAMES, AUGMENTATION, None, 1).hold(["0"])


def test_features_are_what_they_were(tmp_path):
    features = np.arange(6, dtype=np.float16).reshape(2, 3)
    with create(tmp_path / "x.zarr", FEATURES, ids=["a"], stage="extract_features", settings={}, inputs={}) as writer:
        writer.append("a", x=features)
    source = FeatureSource([tmp_path / "x.zarr"])
    for holds in (False, True):
        if holds:
            source.hold(["a"])
        made = PieceBatches(LabelledClips(["a"], [[1]]), source, 0)
        assert made[piece(0, [0], 1)].x.tolist() == made[piece(None, [0], 1)].x.tolist() == [features.tolist()]


def test_what_is_made_ahead_comes_in_order_and_ends_with_its_error():
    assert list(made_ahead(lambda item: item * 2, range(7), 3)) == [0, 2, 4, 6, 8, 10, 12]
    found = []
    with pytest.raises(ZeroDivisionError):
        for made in made_ahead(lambda item: 1 // (2 - item), range(5), 2):
            found.append(made)  # noqa: PERF402
    assert found == [0, 1]


def test_clips_are_mixed_with_the_step_in_reverse_wherever_their_partners_are():
    steps = [np.array([4, 7, 1, 3, 0]), np.array([2, 6])]
    partner_of = {4: 0, 7: 3, 1: 1, 3: 7, 0: 4, 2: 6, 6: 2}
    for processes, accumulate in ((1, 1), (2, 1), (1, 2)):
        pieces = [one for process in range(processes) for one in pieces_of(0, steps, accumulate, process, processes)]
        found = {n: p for one in pieces for n, p in zip(one.numbers, one.partners, strict=True)}
        assert found == partner_of


def test_mixed_clips_are_weighted_means_with_both_labels():
    mixup = MixupSettings(alpha=0.8, share=1.0)
    share = share_of(mixup, 1, 3, 2)
    plain = batches()[piece(3, [5, 0, 2], 3, 2)]
    mixed = batches(mixup=mixup)[piece(3, [5, 0], 3, 2, [2, 0])]
    assert mixed.share == share
    assert mixed.x.numpy() == pytest.approx((share * plain.x[[0, 1]].float() + (1 - share) * plain.x[[2, 1]]).numpy())
    assert mixed.labels.tolist() == plain.labels[[0, 1]].tolist()
    assert mixed.partners.tolist() == plain.labels[[2, 1]].tolist()
    assert mixed.seeds.tolist() == plain.seeds[:2].tolist() == [seed_of(1, 3, "5"), seed_of(1, 3, "0")]
    validated = batches(mixup=mixup)[Piece(None, [5, 0], 3, None, [5, 0])]
    assert (validated.share, validated.seeds.tolist()) == (1.0, [0, 0])


def test_some_steps_are_mixed_and_shares_follow_beta():
    mixup = MixupSettings(alpha=0.8, share=0.25)
    shares = np.array([share_of(mixup, 1, epoch, step) for epoch in range(10) for step in range(400)])
    drawn = shares[shares < 1]
    assert len(drawn) / len(shares) == pytest.approx(0.25, abs=0.03)
    assert drawn.mean() == pytest.approx(0.5, abs=0.04)
    assert drawn.var() == pytest.approx(0.25 / 2.6, rel=0.1)  # of Beta(a, a): 1 / (4 (2 a + 1))
    assert share_of(None, 1, 0, 0) == 1.0

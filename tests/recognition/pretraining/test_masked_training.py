"""Test the autoencoder, its loss and its batches."""

import torch
from torch import nn
from toys.masked_clips import masked_settings

from pipeline.jobs.rank_group import Ranks
from pipeline.recognition.batches import EpochPlan, Piece, Seen
from pipeline.recognition.pretraining.autoencoder import MaskedAutoencoder
from pipeline.recognition.pretraining.masks import cut, take, targets
from pipeline.recognition.pretraining.pictures import GAP, draw, reconstruct
from pipeline.recognition.pretraining.training import MaskedBatch, MaskedClips, MaskedTraining, masked_loss
from pipeline.recognition.towers.temporal_weights import draw_tower


class Noise:
    """Clips of noise, and how they are asked for."""

    def __init__(self):
        self.drawn = []

    def training_clip(self, clip_id, rng, _):
        self.drawn.append((clip_id, int(rng.integers(1000))))
        return Seen(self.validation_clip(clip_id), False)

    def validation_clip(self, clip_id):
        draw = torch.Generator().manual_seed(int(clip_id))
        return torch.randint(0, 256, (4, 3, 24, 24), dtype=torch.uint8, generator=draw)


def clips(num_processes=1):
    plan = EpochPlan(8, 4, 2, None, 1, num_processes)
    return MaskedClips([str(i) for i in range(8)], ["8", "9", "10"], Noise(), plan, 2, 9, 0.7, 1)


def training(data=None, **pretrain):
    settings = masked_settings(pretrain)
    torch.manual_seed(1)
    module = MaskedAutoencoder(draw_tower(settings.arch, 1), settings.pretrain.decoder)
    return MaskedTraining(module, data or clips(), settings, Ranks())


def batch_of(numbers, epoch=0):
    return clips().batch(Piece(epoch, numbers, len(numbers)))


def test_the_encoder_sees_only_visible_tokens():
    """Six of nine places are hidden; the blocks get the three of each of two steps, and the decoder all."""
    task, batch = training(), batch_of([0, 1])
    seen = []
    for block in (task.module.tower.blocks[0], task.module.decoder_blocks[0]):
        block.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))

    told = task.tell(batch)

    assert seen == [(2, 6, 16), (2, 18, 8)]
    assert told.shape == (2, 12, 2 * 8 * 8 * 3)


def test_what_is_told_does_not_depend_on_hidden_pixels():
    """Another clip with the same visible tubelets gives the same answer; with other ones it gives another."""
    task, batch = training(), batch_of([0])
    told = task.tell(batch)
    for numbers, is_equal in ((batch.hidden, True), (batch.visible, False)):
        changed = batch.x.clone()
        step, place = divmod(int(numbers[0, 0]), 9)
        row, column = divmod(place, 3)
        changed[0, 2 * step, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] ^= 255
        assert torch.equal(task.tell(batch._replace(x=changed)), told) == is_equal


def test_the_loss_counts_hidden_tubelets_alone():
    """Where one number of the hidden ones is off by 3, the loss is 9 divided by how many numbers there are."""
    task, batch = training(), batch_of([0, 1])
    right = targets(take(cut(batch.x, task.module.tubelet_size), batch.hidden), "pixels").wanted.flatten(2)
    assert masked_loss(right, batch, task.module, "pixels").tolist() == [0.0, 0.0]
    wrong = right.clone()
    wrong[1, 3, 5] += 3.0
    found = masked_loss(wrong, batch, task.module, "pixels")
    torch.testing.assert_close(found, torch.tensor([0.0, 9.0 / (12 * 384)]))
    # Visible pixels count for nothing.
    elsewhere = batch.x.clone()
    step, place = divmod(int(batch.visible[0, 0]), 9)
    elsewhere[0, 2 * step, :, 8 * (place // 3), 8 * (place % 3)] ^= 255
    assert masked_loss(right, batch._replace(x=elsewhere), task.module, "pixels").tolist() == [0.0, 0.0]


def test_pieces_and_processes_share_the_loss_of_a_step():
    task, data = training(), clips()
    pieces = list(data.train_batches(0, 0, 0))[:2]
    whole = MaskedBatch(
        *(torch.cat(parts) for parts in zip(*(piece[:3] for piece in pieces), strict=True)), num_clips=4
    )
    shares = [task.loss(piece)[0] for piece in pieces]
    torch.testing.assert_close(sum(shares), task.loss(whole)[0])
    assert task.loss(whole)[1][1] == 4
    for other in range(2):
        own = list(clips(2).train_batches(0, other, 0))
        assert [batch.num_clips for batch in own] == [4] * 4


def test_what_is_random_follows_from_the_clip_and_the_epoch():
    one, again, other = (batch_of([2, 3], epoch) for epoch in (0, 0, 1))
    assert torch.equal(one.hidden, again.hidden)
    assert not torch.equal(one.hidden, other.hidden)
    alone = batch_of([3], 0)
    assert torch.equal(alone.hidden[0], one.hidden[1])


def test_validation_hides_the_same_in_every_epoch():
    first, second = (list(clips().val_batches(0)) for _ in range(2))
    assert sum(len(batch.x) for batch in first) == 3
    assert all(torch.equal(a.hidden, b.hidden) for a, b in zip(first, second, strict=True))


def test_biases_norms_and_the_mask_token_do_not_decay():
    task = training()
    decaying, others = task.recipe.optimizer.param_groups
    names = {id(parameter): name for name, parameter in task.module.named_parameters()}
    free = {names[id(parameter)] for parameter in others["params"]}
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.05, 0.0)
    assert {"mask_token", "tower.blocks.0.attn.q_bias", "norm.weight", "tower.patch_embed.proj.bias"} <= free
    assert not any(name.endswith(("qkv.weight", "proj.weight", "head.weight")) for name in free)


def test_the_picture_has_the_clip_what_is_seen_and_what_is_told():
    """A network that tells 0 tells the mean of ImageNet's red."""
    task, batch = training(), batch_of([0, 1])
    nn.init.zeros_(task.module.head.weight)
    rows = reconstruct(task, batch)
    assert len(rows) == 2
    original, seen, told = rows[0]
    assert torch.equal(original, batch.x[0])
    step, place = divmod(int(batch.hidden[0, 0]), 9)
    hidden = (slice(2 * step, 2 * step + 2), slice(None), slice(8 * (place // 3), 8 * (place // 3) + 8))
    hidden = (*hidden, slice(8 * (place % 3), 8 * (place % 3) + 8))
    assert seen[hidden].unique().tolist() == [128]
    assert told[hidden][:, 0].unique().tolist() == [round(255 * 0.485)]
    place = int(batch.visible[0, 0])
    corner = (0, slice(None), 8 * (place // 3), 8 * (place % 3))
    assert torch.equal(told[corner], original[corner])
    picture = draw(rows)
    assert picture.width == 4 * (72 + GAP) - GAP  # four frames of 24 pixels, enlarged three times
    assert picture.height == 2 * 3 * (72 + GAP) + 2 * GAP


def test_normalised_targets_are_brought_back_for_the_picture():
    """A network that tells 0 tells the mean of each hidden tubelet."""
    task, batch = training(targets="normalised"), batch_of([0])
    nn.init.zeros_(task.module.head.weight)
    original, _, told = reconstruct(task, batch)[0]
    step, place = divmod(int(batch.hidden[0, 0]), 9)
    hidden = (slice(2 * step, 2 * step + 2), 0, slice(8 * (place // 3), 8 * (place // 3) + 8))
    hidden = (*hidden, slice(8 * (place % 3), 8 * (place % 3) + 8))
    assert abs(int(told[hidden].unique()) - original[hidden].float().mean()) < 1

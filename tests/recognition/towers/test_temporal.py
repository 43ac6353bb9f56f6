"""Test the temporal expert: its parts by hand, and its places in time and space."""

import math

import pytest
import torch
from torch import nn

from pipeline.recognition.towers.temporal import JointAttention, TemporalTower, TubeletBlock, axes_table, sine_cosine

SIZES = {"image_size": 8, "patch_size": 4, "frames": 4, "tubelet": 2, "width": 8, "heads": 2, "layers": 2}
CPU = torch.device("cpu")


def test_tokens_come_in_the_order_of_time_rows_and_columns() -> None:
    tower = TemporalTower(**SIZES)
    x = torch.zeros(1, 3, 4, 8, 8)
    x[0, :, 2:, 4:, :4] = 1.0  # the second time step, the second row, the first column
    with torch.no_grad():
        tokens = tower.patch_embed(x)[0] - tower.patch_embed(torch.zeros_like(x))[0]

    assert (tower.width, tower.depth, tower.grid, tower.steps) == (8, 2, (2, 2), 2)
    assert tokens.abs().sum(1).nonzero().flatten().tolist() == [1 * 4 + 1 * 2 + 0]


def test_places_are_sines_and_cosines_of_their_number() -> None:
    table = sine_cosine(3, 4, CPU, torch.float32)

    expected = [math.sin(2), math.cos(2), math.sin(2 / 100), math.cos(2 / 100)]
    torch.testing.assert_close(table[2], torch.tensor(expected))
    assert table[0].tolist() == [0.0, 1.0, 0.0, 1.0]


def test_places_are_no_part_of_a_state_and_a_tower_can_be_built_without_memory() -> None:
    with torch.device("meta"):
        tower = TemporalTower(224, 16, 16, 2, 768, 12, 12)

    # VideoMAE-B without its last norm: 12 blocks of 7,087,104 and an embedding of 1,180,416 numbers.
    assert sum(tensor.numel() for tensor in tower.state_dict().values()) == 86_225_664
    assert not list(tower.buffers())


def test_attention_scales_by_the_root_of_a_head_and_has_no_bias_of_keys() -> None:
    torch.manual_seed(0)
    attention = JointAttention(4, 2).double()
    for parameter in attention.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(1, 3, 4, dtype=torch.float64)

    q = x @ attention.qkv.weight[:4].T + attention.q_bias
    k = x @ attention.qkv.weight[4:8].T
    v = x @ attention.qkv.weight[8:].T + attention.v_bias
    heads = [
        torch.softmax(q[0, :, part] @ k[0, :, part].T / math.sqrt(2), -1) @ v[0, :, part]
        for part in (slice(0, 2), slice(2, 4))
    ]
    torch.testing.assert_close(attention(x)[0], attention.proj(torch.cat(heads, -1)))


def test_the_halves_of_a_block_are_its_whole() -> None:
    torch.manual_seed(0)
    block, x = TubeletBlock(8, 2), torch.randn(2, 5, 8)

    half = x + block.attend(x)

    torch.testing.assert_close(block(x), half + block.feed(half))
    assert block.norm1.eps == block.norm2.eps == 1e-6


def test_a_clip_is_the_mean_of_its_tokens() -> None:
    tower = TemporalTower(**SIZES)
    tokens = torch.arange(48.0).reshape(1, 6, 8)

    assert tower.pool(tokens, nn.Identity())[0, 0].item() == 20.0


def test_a_clip_of_another_size_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"clips are \[3, 2, 8, 8\] and not \[3, 4, 8, 8\]"):
        TemporalTower(**SIZES).embed(torch.zeros(1, 3, 2, 8, 8))


def test_axes_have_columns_of_their_own():
    """Two columns for each of three axes, and one that is left over: sine and cosine of time, row and column."""
    table = axes_table((2, 1, 2), 7, CPU, torch.float64)
    sine, cosine = math.sin(1), math.cos(1)
    assert table.tolist() == pytest.approx(
        [
            [0, 1, 0, 1, 0, 1, 0],
            [0, 1, 0, 1, sine, cosine, 0],
            [sine, cosine, 0, 1, 0, 1, 0],
            [sine, cosine, 0, 1, sine, cosine, 0],
        ]
    )


def test_a_tower_adds_the_table_of_its_axes():
    plain, by_axes = (TemporalTower(**SIZES, positions=kind) for kind in ("order", "axes"))
    by_axes.load_state_dict(plain.state_dict())
    x = torch.rand(1, 3, 4, 8, 8)
    difference = by_axes.embed(x) - plain.embed(x)
    expected = axes_table((2, 2, 2), 8, CPU, torch.float32) - sine_cosine(8, 8, CPU, torch.float32)
    torch.testing.assert_close(difference[0], expected)

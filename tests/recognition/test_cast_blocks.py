"""The exchange between the streams, its windows, and what is left out of a clip in training."""

import pytest
import torch
from toys.experts import clips, small_cast

from pipeline.recognition.cast_blocks import StreamExchange, scaled
from pipeline.recognition.cast_plan import CastOptions, Stream, Window

STEPS, ROWS, COLUMNS, WIDTH = 3, 2, 2, 16
PLACES = ROWS * COLUMNS


def exchange(t2s: Window, s2t: Window, *, positions: bool = True, ratio: float = 0.5) -> StreamExchange:
    torch.manual_seed(1)
    options = CastOptions(True, "both", t2s, s2t, positions, ratio, 1, "added", 0.0)
    made = StreamExchange(("spatial", "temporal"), WIDTH, 2, STEPS, PLACES, options)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.5)
    return made


def tokens() -> dict[Stream, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {
        "spatial": torch.randn(2 * STEPS, 1 + PLACES, WIDTH, generator=generator),
        "temporal": torch.randn(2, STEPS * PLACES, WIDTH, generator=generator),
    }


def heard(window: Window, listening: Stream) -> set[tuple[int, int, int]]:
    """Clip, time and place of the tokens that change where one of the other stream does: of clip 1, time 2, place 1."""
    made = exchange(window, window)
    changed = tokens()
    if listening == "spatial":
        changed["temporal"][1, 2 * PLACES + 1] += 1
    else:
        changed["spatial"][1 * STEPS + 2, 1 + 1] += 1
    with torch.no_grad():
        before, after = made(tokens())[listening], made(changed)[listening]
    moved = (after - before).abs().amax(-1) > 1e-5
    if listening == "spatial":
        assert not moved[:, 0].any()  # class tokens attend to nothing
        moved = moved[:, 1:]
    found = moved.reshape(2, STEPS, PLACES).nonzero().tolist()
    return {(clip, time, place) for clip, time, place in found}


@pytest.mark.parametrize("listening", ["spatial", "temporal"])
def test_a_token_is_heard_in_its_window_alone(listening: Stream) -> None:
    assert heard("time", listening) == {(1, time, 1) for time in range(STEPS)}
    assert heard("space", listening) == {(1, 2, place) for place in range(PLACES)}
    assert heard("space_time", listening) == {(1, time, place) for time in range(STEPS) for place in range(PLACES)}


def test_each_direction_has_its_own_window() -> None:
    made = exchange("time", "space")
    shapes = {name: tuple(x.shape) for name, x in made.named_parameters() if "places" in name}
    inner = WIDTH // 2
    assert shapes == {
        "attention.spatial.own_places.time": (STEPS, inner),
        "attention.spatial.other_places.time": (STEPS, inner),
        "attention.temporal.own_places.space": (PLACES, inner),
        "attention.temporal.other_places.space": (PLACES, inner),
    }
    assert not [name for name, _ in exchange("time", "space", positions=False).named_parameters() if "places" in name]
    assert exchange("time", "space", ratio=0.25).up["spatial"].weight.shape == (WIDTH, WIDTH // 4)


def test_without_tables_of_places_the_order_in_a_window_is_unknown() -> None:
    made = exchange("time", "space", positions=False)
    x, reversed_x = tokens(), tokens()
    by_time = reversed_x["temporal"].view(2, STEPS, PLACES, WIDTH).flip(1)
    reversed_x["temporal"] = by_time.flatten(1, 2)
    with torch.no_grad():
        torch.testing.assert_close(made(x)["spatial"], made(reversed_x)["spatial"])
        tabled = exchange("time", "space")
        assert not torch.allclose(tabled(x)["spatial"], tabled(reversed_x)["spatial"])


def test_the_class_token_goes_through_the_bottleneck() -> None:
    made = exchange("time", "space")
    x = tokens()
    with torch.no_grad():
        narrow = made.norm["spatial"](made.down["spatial"](x["spatial"][:, 0]))
        expected = made.up["spatial"](torch.nn.functional.gelu(narrow))
        torch.testing.assert_close(made(x)["spatial"][:, 0], expected)


def test_a_factor_of_a_clip_scales_all_that_is_its() -> None:
    branch = torch.ones(4, 2, 3)  # two clips of two frames
    assert scaled(branch, torch.tensor([0.0, 2.0]))[:, 0, 0].tolist() == [0, 0, 2, 2]
    assert scaled(branch, None) is branch


def test_what_is_left_out_of_a_clip_follows_from_its_seed_alone() -> None:
    made = small_cast(drop_path=0.9).train()
    x, seeds = clips(4), torch.tensor([3, 1, 4, 9])
    with torch.no_grad():
        all_four = made(x, seeds)
        torch.testing.assert_close(made(x[[2]], seeds[[2]]), all_four[[2]])
        torch.testing.assert_close(made(x[[3, 0]], seeds[[3, 0]]), all_four[[3, 0]])
        whole = made(x)
        assert not torch.allclose(all_four, whole)
        assert torch.equal(made.eval()(x, seeds), whole)  # nothing is left out where nothing is learned


def test_more_is_left_out_of_later_blocks() -> None:
    part = small_cast(depth=3, drop_path=0.4).train().part
    factors_KBJ = part._factors(torch.arange(4000))
    assert factors_KBJ.shape == (3, 4000, 4)
    assert torch.equal(factors_KBJ[0], torch.ones(4000, 4))
    for block, rate in ((1, 0.2), (2, 0.4)):
        assert (factors_KBJ[block] == 0).float().mean().item() == pytest.approx(rate, abs=0.02)
        assert factors_KBJ[block].max().item() == pytest.approx(1 / (1 - rate))
    late = small_cast(depth=3, drop_path=0.4, first_block=3).train().part
    assert late._factors(torch.arange(4000))[0].max().item() == pytest.approx(1 / 0.6)


def test_a_branch_that_is_left_out_of_a_clip_leaves_the_expert_as_it_is() -> None:
    made = small_cast(depth=1, drop_path=0.0)
    block, blocks = made.part.blocks["0"], made.body.blocks(0)
    x = {"spatial": torch.randn(8, 5, 48), "temporal": torch.randn(2, 16, 48)}
    factors_BJ = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    with torch.no_grad():
        found = block(blocks, x, factors_BJ)
        whole = block(blocks, x, None)
        for stream, frames in (("spatial", 4), ("temporal", 1)):
            said = blocks[stream].attend(x[stream])
            alone = x[stream] + said + block.after_attention[stream](said)
            alone = alone + blocks[stream].feed(alone)
            torch.testing.assert_close(found[stream][:frames], alone[:frames])
            torch.testing.assert_close(found[stream][frames:], whole[stream][frames:])
            assert not torch.allclose(found[stream][:frames], whole[stream][:frames])

"""CAST as published: its counts, its equations, its names, and what it does not change."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from toys.experts import SIZES, clips, small_cast
from toys.plain_cast import plain_cast

from pipeline.errors import PipelineError
from pipeline.recognition.cast import RENAMES, Cast
from pipeline.recognition.published import published_name

FROZEN = 172_023_552  # CLIP's ViT-B/16 without its last norm and projection, 85,797,888, and VideoMAE's, 86,225,664


def published_state(made: Cast) -> dict[str, Tensor]:
    return {published_name(name, RENAMES): tensor.clone() for name, tensor in made.state_dict().items()}


@pytest.mark.parametrize(("heads", "trained"), [
    ({"num_verbs": 97, "num_nouns": 300}, 44_784_781),
    ({"num_classes": 174}, 45_205_038),
    ({"num_classes": 400}, 45_378_832),
    ({"num_classes": 101}, 45_148_901),
], ids=["ek100", "ssv2", "k400", "ucf101"])  # fmt: skip
def test_as_much_is_trained_as_in_the_paper(heads: dict[str, int], trained: int) -> None:
    with torch.device("meta"):
        made = Cast(**heads)
    assert made.num_trainable() == trained
    assert sum(parameter.numel() for parameter in made.parameters() if parameter.requires_grad) == trained
    assert sum(parameter.numel() for parameter in made.parameters()) == trained + FROZEN
    assert not list(made.buffers())


def test_a_view_costs_390_milliards_of_products() -> None:
    with torch.device("meta"):
        made = Cast().eval()
        with FlopCounterMode(display=False) as counter:
            made(torch.empty(1, 3, 16, 224, 224))
    assert counter.get_total_flops() / 2 / 1e9 == pytest.approx(390.5, abs=0.05)


@pytest.mark.parametrize("heads", [{}, {"num_verbs": 3, "num_nouns": 4}], ids=["one head", "verb and noun"])
def test_it_computes_what_its_equations_say(heads: dict[str, int]) -> None:
    made = small_cast(**heads)
    with torch.no_grad():
        expected = plain_cast(published_state(made), clips(), SIZES["heads"])
        spatial, temporal = made.vectors(clips())
        logits = made(clips())
    torch.testing.assert_close(spatial, expected["spatial"], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(temporal, expected["temporal"], atol=1e-5, rtol=1e-4)
    for found, name in zip(logits if heads else [logits], ("verb", "noun") if heads else ("class",), strict=True):
        torch.testing.assert_close(found, expected[name], atol=1e-5, rtol=1e-4)


def test_it_begins_as_its_two_experts_alone() -> None:
    made, x = small_cast(stirred=False), clips()
    for parameter in made.body.parameters():
        nn.init.normal_(parameter, 0.0, 0.2)
    with torch.no_grad():
        spatial, temporal = made.vectors(x)
        frames = x[:, :, 1::2].transpose(1, 2).flatten(0, 1)
        tokens = made.body.spatial(frames).view(2, 4, 5, 48)
        plain = made.body.spatial.pool(tokens, nn.LayerNorm(48, eps=1e-5))
        torch.testing.assert_close(spatial, plain, atol=1e-6, rtol=1e-5)
        plain = made.body.temporal.pool(made.body.temporal(x), nn.LayerNorm(48, eps=1e-6))
        torch.testing.assert_close(temporal, plain, atol=1e-6, rtol=1e-5)
        assert torch.equal(made(x), torch.zeros(2, 5))  # all classes alike, as the last adapters give zeros


def test_published_tensors_are_loaded_and_no_others() -> None:
    source, made = small_cast(), small_cast(stirred=False)
    state = published_state(source)
    made.load_published(state)
    with torch.no_grad():
        assert torch.equal(made(clips()), source(clips()))
    name = "blocks.1.s2t_cross.t2s_proj.weight"
    for wrong, message in (
        ({key: tensor for key, tensor in state.items() if key != name}, rf"missing: {name}"),
        (state | {"blocks.1.cross_s_gate": torch.ones(1)}, r"unknown: blocks\.1\.cross_s_gate"),
        (state | {"clip_ln_post.bias": torch.zeros(1, 48)}, r"clip_ln_post\.bias is \[1, 48\], not \[48\]"),
    ):
        with pytest.raises(PipelineError, match=message) as caught:
            made.load_published(wrong)
        assert "\n" not in str(caught.value)


def test_nothing_of_the_experts_learns_and_all_else_does() -> None:
    made = small_cast().train()
    made(clips()).square().sum().backward()
    assert all(parameter.grad is None for parameter in made.body.parameters())
    still = {name for name, parameter in made.part.named_parameters() if not parameter.grad.abs().sum() > 0}
    # What the last spatial patches hear is heard by nobody: the vector is that of the class tokens, as published.
    last = "blocks.1.exchange.attention.spatial."
    assert still == {name for name, _ in made.part.named_parameters() if name.startswith(last)}
    assert not any(module.training for module in made.body.modules())
    with torch.enable_grad():
        front = made.part.front(made.body, clips())
    assert not any(tokens.requires_grad for tokens in front.values())


def test_clips_of_other_sizes_are_refused() -> None:
    with pytest.raises(PipelineError, match=r"take clips of \[3, 8, 32, 32\] numbers, not \[3, 8, 48, 48\]"):
        small_cast()(torch.zeros(1, 3, 8, 48, 48))
    with pytest.raises(PipelineError, match="give both or none"):
        Cast(num_verbs=3, **SIZES)


def test_it_computes_in_bfloat16_what_it_computes_in_float32() -> None:
    made, seeds = small_cast(drop_path=0.3).train(), torch.tensor([1, 2])
    exact = made(clips(), seeds)
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        short = made(clips(), seeds)
    short.float().square().sum().backward()
    exact, short = exact.detach(), short.detach().float()
    assert float((short - exact).abs().mean() / exact.abs().mean()) < 0.03
    assert {parameter.grad.dtype for parameter in made.part.parameters()} == {torch.float32}

"""The ablations of CAST: what each has, what it computes, and how its logits come about."""

from typing import Any

import pytest
import torch
from toys.experts import clips, small_cast

from pipeline.errors import PipelineError
from pipeline.recognition.cast_part import log_mean_of_softmaxes
from pipeline.recognition.cast_plan import BlockNeeds, CastOptions, needs_of_blocks

BOTH = ("spatial", "temporal")


def options(**changed: Any) -> CastOptions:
    plain = {
        "adapters": True, "exchange": "both", "t2s": "time", "s2t": "space", "positions": True, "ratio": 0.5,
        "first_block": 1, "fusion": "added", "drop_path": 0.0,
    }  # fmt: skip
    return CastOptions(**(plain | changed))


def test_a_block_has_what_the_vectors_depend_on() -> None:
    assert needs_of_blocks(2, options()) == [BlockNeeds(BOTH, BOTH, BOTH)] * 2
    assert needs_of_blocks(2, options(fusion="temporal")) == [
        BlockNeeds(BOTH, BOTH, BOTH),
        BlockNeeds(BOTH, ("temporal",), ("temporal",)),  # nobody sees what the spatial stream does after it was heard
    ]
    alone = ("spatial",)
    assert needs_of_blocks(2, options(fusion="spatial", exchange="none")) == [BlockNeeds(alone, (), alone)] * 2
    assert needs_of_blocks(2, options(fusion="spatial", exchange="s2t")) == [BlockNeeds(alone, (), alone)] * 2
    assert needs_of_blocks(2, options(exchange="t2s", first_block=2)) == [
        BlockNeeds(BOTH, (), BOTH),
        BlockNeeds(BOTH, alone, BOTH),
    ]


VARIANTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "late fusion": ({"exchange": "none"}, BOTH),
    "put together": ({"exchange": "none", "fusion": "concatenated"}, BOTH),
    "ensemble": ({"exchange": "none", "fusion": "ensemble"}, BOTH),
    "experts alone": ({"exchange": "none", "adapters": False, "fusion": "ensemble"}, BOTH),
    "spatial alone": ({"exchange": "none", "fusion": "spatial"}, ("spatial",)),
    "temporal alone": ({"exchange": "none", "fusion": "temporal"}, ("temporal",)),
    "one way, s2t": ({"exchange": "s2t"}, BOTH),
    "one way, t2s": ({"exchange": "t2s"}, BOTH),
    "nobody listens": ({"exchange": "t2s", "fusion": "temporal"}, ("temporal",)),
    "wide": ({"ratio": 1.0}, BOTH),
    "narrow": ({"ratio": 0.25}, BOTH),
    "all tokens": ({"t2s": "space_time", "s2t": "space_time"}, BOTH),
    "all tokens of a time": ({"t2s": "space", "s2t": "space"}, BOTH),
    "no tables": ({"positions": False}, BOTH),
    "late exchange": ({"first_block": 2}, BOTH),
    "one stream, late": ({"first_block": 2, "fusion": "spatial", "exchange": "both"}, BOTH),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_computes_what_it_needs_and_no_other_stream(variant: str) -> None:
    changed, streams = VARIANTS[variant]
    made = small_cast(**changed).train()
    ran: set[str] = set()
    for stream in BOTH:
        for block in getattr(made.body, stream).blocks:
            block.attn.register_forward_hook(lambda *_, stream=stream: ran.add(stream))
    logits = made(clips(), torch.tensor([1, 2]))
    assert logits.shape == (2, 5)
    assert torch.isfinite(logits).all()
    assert ran == set(streams)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in made.part.parameters())  # no module without a use
    assert all(parameter.grad is None for parameter in made.body.parameters())


def test_streams_that_do_not_listen_know_nothing_of_the_other_one() -> None:
    for exchange, deaf in (("s2t", "spatial"), ("t2s", "temporal"), ("none", "spatial"), ("none", "temporal")):
        made, x = small_cast(exchange=exchange), clips()
        place = BOTH.index(deaf)
        with torch.no_grad():
            before = made.vectors(x)[place]
            for parameter in getattr(made.body, BOTH[1 - place]).parameters():
                parameter.add_(0.1)
            assert torch.equal(made.vectors(x)[place], before)


def test_an_ensemble_gives_the_mean_of_probabilities() -> None:
    first, second = torch.tensor([[0.0, 1.0, 3.0]]), torch.tensor([[2.0, -1.0, 0.0]])
    mean = (first.softmax(1) + second.softmax(1)) / 2
    torch.testing.assert_close(log_mean_of_softmaxes([first, second]).exp(), mean)
    made = small_cast(fusion="ensemble")
    with torch.no_grad():
        spatial, temporal = made.vectors(clips())
        head = made.part.heads["class"]
        mean = (head["spatial"](spatial).softmax(1) + head["temporal"](temporal).softmax(1)) / 2
        torch.testing.assert_close(made(clips()).softmax(1), mean)


def test_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(PipelineError, match="first_block: 3 is beyond the 2 blocks of the experts"):
        small_cast(first_block=3)
    with pytest.raises(PipelineError, match=r"ratio: 0\.3 of the experts' width 48 makes an exchange of width 14"):
        small_cast(ratio=0.3)
    with pytest.raises(PipelineError, match=r"by_head tells the verb .* this data set has class: write another fusion"):
        small_cast(fusion="by_head")

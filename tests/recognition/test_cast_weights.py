"""Recognizers that begin with a published CAST: its names and wrappers, its experts, its classes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toys.experts import cast_settings, write_experts
from toys.small_cast import plain, train, write_all

from pipeline.config import CastSettings
from pipeline.errors import PipelineError
from pipeline.recognition.cast import RENAMES
from pipeline.recognition.cast_file import describe_cast, read_cast
from pipeline.recognition.cast_recognizer import CastRecognizer, Experts, build_over, read_experts
from pipeline.recognition.cast_weights import load_part
from pipeline.recognition.published import published_name
from pipeline.weights.saving import save_weights

CLASSES = {"class": ["a", "b", "c"]}
GIVEN: dict[str, Any] = {"weights": "cast.pth", "head": "weights"}


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Experts:
    return read_experts(*write_experts(tmp_path_factory.mktemp("experts")))


def stirred(experts: Experts, heads: dict[str, int], **options: Any) -> CastRecognizer:
    model = build_over(experts, cast_settings(**options), heads)
    for parameter in model.part.parameters():
        nn.init.normal_(parameter, 0.0, 0.1)
    return model.eval()


def published(model: CastRecognizer) -> dict[str, Tensor]:
    return {published_name(name, RENAMES): tensor.clone() for name, tensor in model.state_dict().items()}


def load(
    experts: Experts, held: Any, path: Path, classes: dict[str, list[str]] = CLASSES, **options: Any
) -> CastRecognizer:
    torch.save(held, path)
    settings = cast_settings(**GIVEN | options)
    torch.manual_seed(3)
    model = build_over(experts, settings, {name: len(of) for name, of in classes.items()})
    assert load_part(model, path, settings, experts, classes).startswith("file cast.pth sha256 ")
    return model.eval()


def pixels() -> Tensor:
    return torch.randint(0, 256, (2, 8, 3, 32, 32), generator=torch.Generator().manual_seed(4), dtype=torch.uint8)


@pytest.mark.parametrize("wrapper", [None, "module", "model"])
def test_a_published_model_is_taken_over_as_it_is(experts: Experts, tmp_path: Path, wrapper: str | None) -> None:
    source = stirred(experts, {"class": 3})
    state = published(source)
    held = state if wrapper is None else {wrapper: state, "epoch": 50}
    model = load(experts, held, tmp_path / "cast.pth")
    with torch.no_grad():
        assert torch.equal(model(pixels())["class"], source(pixels())["class"])


def test_verbs_and_nouns_have_heads_of_their_own(experts: Experts, tmp_path: Path) -> None:
    source = stirred(experts, {"verb": 3, "noun": 4}, fusion="by_head")
    classes = {"verb": ["take", "put", "wash"], "noun": list("dcba")}
    model = load(experts, {"module": published(source)}, tmp_path / "cast.pth", classes, fusion="by_head")
    with torch.no_grad():
        for name, logits in source(pixels()).items():
            assert torch.equal(model(pixels())[name], logits)


def test_a_file_of_half_precision_is_over_the_same_experts(experts: Experts, tmp_path: Path) -> None:
    source = stirred(experts, {"class": 3})
    state = {name: tensor.half() for name, tensor in published(source).items()}
    model = load(experts, {"module": state}, tmp_path / "cast.pth")
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}
    with torch.no_grad():
        torch.testing.assert_close(model(pixels())["class"], source(pixels())["class"], atol=2e-2, rtol=2e-2)


def test_a_drawn_head_is_for_other_classes(experts: Experts, tmp_path: Path) -> None:
    source = stirred(experts, {"class": 7})
    model = load(experts, published(source), tmp_path / "cast.pth", head="drawn")
    torch.manual_seed(3)
    untouched = build_over(experts, cast_settings(), {"class": 3})
    for name, tensor in model.part.state_dict().items():
        expected = untouched if name.startswith("heads.") else source
        assert torch.equal(tensor, expected.part.state_dict()[name]), name


def test_files_that_do_not_fit_are_refused_in_a_line(experts: Experts, tmp_path: Path) -> None:
    state = published(stirred(experts, {"class": 3}))
    moved = {name: tensor + 0.01 if name == "blocks.1.mlp.fc1.weight" else tensor for name, tensor in state.items()}
    seen = {name: tensor * 1.01 if name.startswith("clip_conv1") else tensor for name, tensor in state.items()}
    headless = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
    both = moved | {"clip_conv1.weight": seen["clip_conv1.weight"]}
    of_five = published(stirred(experts, {"class": 5}))
    moved_order = {"classes": {"class": ["b", "a", "c"]}}
    cases: list[tuple[dict[str, Tensor], dict[str, Any], str]] = [
        (moved, {}, r"other experts: the temporal one is not encoder mae \(.*temporal\.safetensors\): 1 of 2\d tensors "
         r"differ, such as blocks\.1\.mlp\.fc1\.weight: name the encoder"),
        (seen, {}, r"other experts: the spatial one is not encoder clip \(.*\): 1 of 2\d tensors differ, such as c"),
        (both, {}, r"the spatial one is not encoder clip .*; the temporal one is not encoder mae"),
        (headless, {}, r"has no head\.weight for the classes of the data set, but none: write head: drawn"),
        (of_five, {}, r"head\.weight is of 5 classes, not 3: write head: drawn"),
        (state, moved_order, r"has its classes in alphabetical order, and .* or write head: drawn"),
        (state | {"blocks.0.gate": torch.ones(1)}, {}, r"no checkpoint of CAST with .*: unknown: blocks\.0\.gate"),
        (state, {"exchange": "s2t"}, r"is no checkpoint of CAST with these settings and experts: unknown: blocks\.0\."),
        (state, {"ratio": 0.25}, r"shapes: blocks\.0\.cross_s_down\.weight is \[24, 48\], not \[12, 48\]"),
    ]  # fmt: skip
    for held, options, message in cases:
        with pytest.raises(PipelineError, match=message) as caught:
            load(experts, held, tmp_path / "cast.pth", **options)
        assert "\n" not in str(caught.value)
        assert "cast.pth" in str(caught.value)


def test_a_model_of_the_workflow_is_no_published_one(experts: Experts, tmp_path: Path) -> None:
    settings = cast_settings(**GIVEN)
    model = build_over(experts, settings, {"class": 3})
    path = tmp_path / "model.safetensors"
    save_weights(model.part.state_dict(), path, describe_cast(settings, CLASSES, experts))
    with pytest.raises(PipelineError, match="is a model of this workflow, and weights names a checkpoint"):
        load_part(model, path, settings, experts, CLASSES)
    with pytest.raises(PipelineError, match=r"weights: cast\.pth is no file: name one with its folder"):
        load_part(model, None, settings, experts, CLASSES)


def test_without_epochs_a_published_model_is_the_model(tmp_path: Path) -> None:
    flags = write_all(tmp_path, num_train=3, num_val=2)
    read = read_experts(*flags["--experts"])
    labels = json.loads(flags["--labels"].read_text())
    classes = sorted(labels["heads"]["class"])
    flags["--labels"].write_text(json.dumps(labels | {"heads": {"class": classes}}))
    source = build_over(read, plain(), {"class": len(classes)})
    for parameter in source.part.parameters():
        nn.init.normal_(parameter, 0.0, 0.1)
    torch.save({"module": published(source)}, tmp_path / "cast.pth")
    recipe = {"epochs": 0, "schedule": "constant", "least_lr": 0.0}
    assert train(tmp_path, flags, plain(recipe, **GIVEN), weights=[tmp_path / "cast.pth"]) == []
    found = read_cast(tmp_path / "model.safetensors", flags["--experts"])
    assert found.heads == {"class": classes}
    assert re.search(r"temporal expert random, trained from file cast\.pth sha256 [0-9a-f]{64}$", found.origin)
    for name, tensor in found.model.part.state_dict().items():
        assert torch.equal(tensor, source.part.state_dict()[name]), name


def test_heads_of_a_file_need_a_file() -> None:
    with pytest.raises(ValueError, match="`head: weights` takes the heads of the file that `weights` names"):
        CastSettings.model_validate(cast_settings().model_dump() | {"head": "weights"})

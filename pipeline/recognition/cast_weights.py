"""Give a recognizer the trained part of a published checkpoint of CAST, over the experts that this was trained over.

Loading is strict: every tensor of the file is taken over, is equal to that of a named expert, or is a head that is
drawn anew. What no tensor tells is the order of the classes, which is compared with the data set's.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from pipeline.config import CastSettings
from pipeline.errors import PipelineError
from pipeline.recognition.cast import RENAMES
from pipeline.recognition.cast_recognizer import CastRecognizer, Experts
from pipeline.recognition.labels import require_alphabetical
from pipeline.recognition.published import published_name
from pipeline.weights.loading import described, differences, match_table, read_state
from pipeline.weights.origin import RANDOM, from_file

EXAMPLE = "CAST's checkpoint of Something-Something v2"
PART = "part."
HEADS = "part.heads."
HEADS_OF_FILE = re.compile(r"head(_verb|_noun)?\.(weight|bias)")
DRAWN = "write head: drawn, which learns one anew"
# Published weights of CLIP are of half precision, and DeepSpeed writes all of a network so: frozen tensors of a file
# may be rounded to it, numbers that are too small for it to its least one.
ROUNDED = torch.finfo(torch.float16)

log = logging.getLogger(__name__)


def load_part(
    model: CastRecognizer,
    path: Path | None,
    settings: CastSettings,
    experts: Experts,
    classes: Mapping[str, Sequence[str]],
) -> str:
    """Load the weights that `weights` names into the part that is trained; with `random` it stays as it was drawn.

    Args:
        model: The recognizer; its heads get the file's weights with `head: weights` alone.
        path: A checkpoint of CAST's authors, as DeepSpeed or torch write it; None for `weights: random`.
        settings: Of the recognizer.
        experts: What it is built over.
        classes: Names of the classes of each head, in the order of its logits.

    Returns:
        Where the weights come from, in the words of `pipeline.weights.origin`.

    Raises:
        PipelineError: if the file holds another network, was trained over other experts, or has other classes.
    """
    if settings.weights == RANDOM:
        return RANDOM
    if path is None:
        raise PipelineError(f"weights: {settings.weights} is no file: name one with its folder or suffix, or random")
    state, metadata = read_state(path, EXAMPLE)
    if "description" in metadata:
        raise PipelineError(f"{path} is a model of this workflow, and weights names a checkpoint of {EXAMPLE}")
    own = {published_name(name, RENAMES): name for name in model.state_dict()}
    tensors = model.state_dict()
    left_out: dict[str, str] = {}
    if settings.head == "weights":
        _check_heads(state, {name: tensors[mine] for name, mine in own.items() if mine.startswith(HEADS)}, path)
        _check_order(classes, path)
    else:
        own = {name: mine for name, mine in own.items() if not mine.startswith(HEADS)}
        left_out = {name: "drawn anew" for name in state if HEADS_OF_FILE.fullmatch(name)}
    given = {name: tensor for name, tensor in state.items() if name not in left_out}
    expected = {name: tensors[mine] for name, mine in own.items()}
    if found := differences(given, expected):
        what = described(path, state, metadata)
        raise PipelineError(f"{what} is no checkpoint of CAST with these settings and experts: {'; '.join(found)}")
    _check_experts(path, {own[name]: tensor for name, tensor in given.items()}, settings, experts)
    log.info("%s: CAST\n%s", path, match_table(given, expected, 1, left_out))
    learned = {own[name].removeprefix(PART): given[name].float() for name in given if own[name].startswith(PART)}
    drawn = {} if settings.head == "weights" else _heads_of(model.part.state_dict())
    model.part.load_state_dict(learned | drawn, strict=True)
    return from_file(path)


def _heads_of(part: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in part.items() if f"{PART}{name}".startswith(HEADS)}


def _check_heads(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Raise PipelineError if a file has no heads for as many classes as there are."""
    for name, tensor in expected.items():
        if name not in state:
            there = ", ".join(sorted(one for one in state if HEADS_OF_FILE.fullmatch(one))) or "none"
            raise PipelineError(f"{path} has no {name} for the classes of the data set, but {there}: {DRAWN}")
        if len(state[name]) != len(tensor):
            raise PipelineError(f"{path}: {name} is of {len(state[name])} classes, not {len(tensor)}: {DRAWN}")


def _check_order(classes: Mapping[str, Sequence[str]], path: Path) -> None:
    """Raise PipelineError if classes are not in the order of the published lists.

    Verbs and nouns have EPIC-Kitchens' own numbers, here as there. Other published lists are alphabetical.
    """
    if "class" in classes:
        require_alphabetical(classes["class"], str(path), DRAWN)


def _check_experts(path: Path, given: Mapping[str, Tensor], settings: CastSettings, experts: Experts) -> None:
    """Raise PipelineError if the frozen tensors of a file are not those of the experts, but for their rounding."""
    differ = []
    for role, name in (("spatial", settings.spatial), ("temporal", settings.temporal)):
        frozen = experts.body.get_submodule(role).state_dict()
        other = [key for key, tensor in frozen.items() if not _is_same(given[f"body.{role}.{key}"], tensor)]
        if other:
            differ.append(
                f"the {role} one is not encoder {name} ({experts.paths[role]}): {len(other)} of {len(frozen)} tensors "
                f"differ, such as {published_name(f'body.{role}.{other[0]}', RENAMES)}"
            )
    if differ:
        raise PipelineError(
            f"{path} was trained over other experts: {'; '.join(differ)}: name the encoder whose weights it was "
            "trained over"
        )


def _is_same(given: Tensor, tensor: Tensor) -> bool:
    """Whether a tensor is another one that was perhaps rounded to half precision."""
    return torch.allclose(given.float(), tensor.float(), rtol=ROUNDED.eps, atol=ROUNDED.smallest_normal * ROUNDED.eps)

"""Load the tensors of a published module under the names and in the layouts that its authors gave them."""

import re
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.weights.loading import differences

Rename = tuple[str, str]  # a pattern of our names, and the published name in the form of `re.sub`
Reshape = Callable[[Tensor], Tensor]


def published_name(name: str, renames: Sequence[Rename]) -> str:
    """The published name of a tensor of ours, by the first pattern that fits all of its name; its own if none does."""
    for pattern, published in renames:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, published, name)
    return name


def load_renamed(
    module: nn.Module, state: Mapping[str, Tensor], renames: Sequence[Rename], what: str, unused: str = ""
) -> None:
    """Give a module the tensors of a published state dict; each must be known, there, and as large as ours.

    A tensor of one more axis of length 1, as a convolution of one place has beside a linear layer, is the same tensor.

    Args:
        module: The module; it is put into eval mode.
        state: The tensors, under their published names.
        renames: How our names become published ones.
        what: What the state should hold, for the message.
        unused: Pattern of published tensors that nothing uses; they may be there.

    Raises:
        PipelineError: if a tensor is missing, unknown or of another shape; the message names some of each.
    """
    expected = module.state_dict()
    named = {published_name(name, renames): name for name in expected}
    wanted = {published: expected[name] for published, name in named.items()}
    used = {name: tensor for name, tensor in state.items() if not (unused and re.fullmatch(unused, name))}
    fitted = {
        name: tensor.reshape(wanted[name].shape) if name in wanted and _same(tensor, wanted[name]) else tensor
        for name, tensor in used.items()
    }
    found = differences(fitted, wanted)
    if found:
        raise PipelineError(f"these tensors are not those of {what}: {'; '.join(found)}")
    module.load_state_dict({named[name]: tensor for name, tensor in fitted.items()}, strict=True)
    module.eval()


def _same(tensor: Tensor, wanted: Tensor) -> bool:
    """Whether two shapes differ by axes of length 1 alone."""
    return [size for size in tensor.shape if size > 1] == [size for size in wanted.shape if size > 1]

"""Which activation the towers of a file of CLIP have: GELU, or OpenAI's QuickGELU, which is x * sigmoid(1.702 x).

It is a part of the architecture that no tensor shows. Weights that were trained with one run with the other, and embed
images by about a hundredth off.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
from pydantic import BaseModel
from torch import Tensor

from pipeline.errors import PipelineError

ACTIVATIONS = ("quick_gelu", "gelu")
# Three integers that OpenAI's release keeps among its parameters.
OPENAI_SIZES = ("input_resolution", "context_length", "vocab_size")

Arch = str | Mapping[str, Any] | BaseModel


def activation_of(arch: Arch, state: Mapping[str, Tensor], metadata: Mapping[str, str], path: Path) -> str:
    """Find the activation that a file of CLIP was trained with: its tensors do not show it, and fit either.

    Args:
        arch: what the config says: open_clip name or mapping of sizes.
        state: the file's tensors, by its own names.
        metadata: what the file says of itself, as `read_state` returns it.
        path: the file, for messages.

    Returns:
        "quick_gelu" or "gelu". The file's own metadata comes first; then `-quickgelu` in the name, or `activation` in
        the mapping; then what shows OpenAI's hand, who has QuickGELU: a TorchScript archive, its three sizes among the
        parameters, or CLIP4Clip's prefix; then the name, which without `-quickgelu` means GELU, as in open_clip.

    Raises:
        PipelineError: nothing says it, or the metadata names another one.
    """
    said = metadata.get("activation") or arch_activation(arch)
    if said is not None and said not in ACTIVATIONS:
        raise PipelineError(f"{path} names the activation {said!r}, expected one of {', '.join(ACTIVATIONS)}")
    if said is not None and (said == "quick_gelu" or not isinstance(arch, str) or "activation" in metadata):
        return said
    code = metadata.get("code", "")
    gelu_program = "gelu(" in code and "1.702" not in code  # QuickGELU is x * sigmoid(1.702 x)
    openai = set(OPENAI_SIZES) & state.keys() or any(key.startswith("clip.") for key in state)
    if openai or (metadata.get("format") == "TorchScript" and not gelu_program):
        return "quick_gelu"
    if said is None:
        raise PipelineError(
            f"{path} does not say which activation it was trained with, and it would fit either: write `activation: "
            "quick_gelu` (OpenAI's weights and what was trained from them) or `activation: gelu` (LAION's) into `arch`"
        )
    return said


def arch_activation(arch: Arch) -> str | None:
    """The activation that an open_clip name or a mapping says; None for a mapping that says none."""
    if isinstance(arch, str):
        return "quick_gelu" if (open_clip.get_model_config(arch) or {}).get("quick_gelu") else "gelu"
    said = (arch.model_dump() if isinstance(arch, BaseModel) else arch).get("activation")
    return None if said is None else str(said)


def activation_of_random(arch: Arch) -> str:
    """QuickGELU, unless a mapping says otherwise: names say how published weights were trained."""
    return "quick_gelu" if isinstance(arch, str) else arch_activation(arch) or "quick_gelu"

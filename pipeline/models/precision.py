"""Choose the device that a network computes on, and the type of the numbers that it computes with."""

import logging

import torch

log = logging.getLogger(__name__)


def compute_device() -> torch.device:
    """The device that a stage computes on: the current CUDA device if a GPU is visible, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The type of the numbers that a network computes with.

    Args:
        precision: "fp32", "bf16", or "auto": bf16 on a GPU for which PyTorch supports it, and on a CPU that has
            instructions for it (AVX-512 BF16); float32 on any other device.
        device: Device that the network computes on.
    """
    return _choice(precision, device)[0]


def announced_dtype(precision: str, device: torch.device, network: str) -> torch.dtype:
    """The type of `compute_dtype`; also logs what was chosen and why.

    Args:
        precision: "fp32", "bf16" or "auto".
        device: Device that the network computes on.
        network: Name of the network in the message.
    """
    dtype, reason = _choice(precision, device)
    log.info("%s computes on %s in %s: %s", network, device.type, str(dtype).removeprefix("torch."), reason)
    return dtype


def _choice(precision: str, device: torch.device) -> tuple[torch.dtype, str]:
    """The type, and the reason for its choice."""
    if precision == "fp32":
        return torch.float32, "`precision: fp32`"
    if precision == "bf16":
        return torch.bfloat16, "`precision: bf16`"
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported():
            return torch.bfloat16, "`precision: auto`, and PyTorch supports bf16 on this GPU"
        return torch.float32, "`precision: auto`, and PyTorch does not support bf16 on this GPU"
    if torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16, "`precision: auto`, and this CPU has bf16 instructions"
    return torch.float32, "`precision: auto`, and this CPU has no bf16 instructions"

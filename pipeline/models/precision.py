"""What a network computes on, and in which numbers."""

import torch


def compute_device() -> torch.device:
    """The device a stage computes on: the first visible GPU, or else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The type a network computes in.

    Args:
        precision: "fp32", "bf16", or "auto": bf16 where the device has instructions for it.
        device: Where it computes.
    """
    if precision == "fp32":
        return torch.float32
    if precision == "bf16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32

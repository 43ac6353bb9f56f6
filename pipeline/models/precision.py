"""Choose the device that a network computes on, and the type of the numbers that it computes with."""

import functools
import logging
import time

import torch

# A CPU's bf16 is passed over only at less than this share of the rate of float32. Instructions for bf16 double the
# rate; where they are emulated it is a hundredth. What lies between is no reason to let two jobs choose differently.
CLEAR_LOSS = 0.5
TURNS = 6
SIDE = 256  # of the matrices: some tenths of a millisecond, and less than 0.1 s where bf16 is emulated

log = logging.getLogger(__name__)


def compute_device() -> torch.device:
    """The device that a stage computes on: the current CUDA device if a GPU is visible, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The type of the numbers that a network computes with.

    Args:
        precision: "fp32", "bf16", or "auto": bf16 on a GPU for which PyTorch supports it, and on a CPU that has
            instructions for it (AVX-512 BF16), unless products in it are clearly slower; float32 on any other device.
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
    if not torch.cpu._is_avx512_bf16_supported():
        return torch.float32, "`precision: auto`, and this CPU has no bf16 instructions"
    bf16, fp32 = product_rates()
    rates = f"a core multiplies matrices at {bf16:.0f} GFLOP/s in bf16, at {fp32:.0f} in float32"
    if bf16 < CLEAR_LOSS * fp32:
        return torch.float32, f"`precision: auto`, and this CPU's bf16 instructions are not used: {rates}"
    return torch.bfloat16, f"`precision: auto`, and this CPU has bf16 instructions: {rates}"


@functools.cache
def product_rates() -> tuple[float, float]:
    """GFLOP/s of matrix products on one thread in bfloat16 and in float32, measured once in a process.

    The types take turns, each counts by its best turn, and a turn by the processor's time of this thread, so that work
    beside this one slows neither.
    """
    types = (torch.bfloat16, torch.float32)
    matrices = [torch.ones(SIDE, SIDE, dtype=dtype) for dtype in types]
    best = [float("inf")] * len(types)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(TURNS):
            for number, matrix in enumerate(matrices):
                start = time.thread_time()
                matrix @ matrix
                best[number] = min(best[number], time.thread_time() - start)
    finally:
        torch.set_num_threads(threads)
    bf16, fp32 = (2 * SIDE**3 / 1e9 / max(seconds, 1e-9) for seconds in best)
    return bf16, fp32

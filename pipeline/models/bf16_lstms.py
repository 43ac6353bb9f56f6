"""Whether a CPU computes LSTMs in bf16, which PyTorch hands to oneDNN: not every CPU has them."""

import functools
import logging

import torch
from torch import nn

from pipeline.errors import PipelineError

log = logging.getLogger(__name__)


def require_computable(network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Raise PipelineError if a network has LSTMs, and the CPU that is to compute them has none in its type of numbers.

    PyTorch hands them to oneDNN, whose LSTMs in bf16 need instructions for it, and would fail in the first batch.

    Args:
        network: The network.
        device: Device that it computes on.
        dtype: The type of its numbers, as `compute_dtype` gives it.
    """
    is_short = device.type == "cpu" and dtype == torch.bfloat16
    if is_short and any(isinstance(layer, nn.LSTM) for layer in network.modules()) and not has_bf16_lstms():
        raise PipelineError(
            "`precision: bf16`: the network has LSTMs, and this CPU has none in bf16 (it lacks AVX-512 BF16): write "
            "`precision: auto` or `fp32` and train again, or compute on a GPU or on another CPU"
        )


@functools.cache
def has_bf16_lstms() -> bool:
    """Whether an LSTM learns in bf16 on this CPU, tried once in a process; nothing is drawn from torch's generator."""
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        layer, x = nn.LSTM(16, 16), torch.zeros(2, 1, 16)
        try:
            with torch.autocast("cpu", torch.bfloat16):
                layer(x)[0].float().sum().backward()
        except RuntimeError as error:
            log.info("no LSTM in bf16 on this CPU: %s", str(error).splitlines()[0])
            return False
    return True

from contextlib import nullcontext

import pytest
import torch

from pipeline.errors import PipelineError
from pipeline.models import bf16_lstms
from pipeline.models.bf16_lstms import require_computable

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("works", [True, False])
def test_lstms_in_bf16_are_refused_on_a_cpu_that_has_none(works, monkeypatch):
    """PyTorch says only in the first batch, and in a traceback, that oneDNN has no primitive for them."""
    monkeypatch.setattr(bf16_lstms, "has_bf16_lstms", lambda: works)
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LSTM(2, 2))
    require_computable(network, CPU, torch.float32)
    require_computable(network, GPU, torch.bfloat16)
    require_computable(torch.nn.Sequential(torch.nn.GRU(2, 2)), CPU, torch.bfloat16)  # PyTorch's own
    expected = nullcontext() if works else pytest.raises(PipelineError, match=r"LSTMs.*write `precision: auto`")
    with expected:
        require_computable(network, CPU, torch.bfloat16)


def test_whether_lstms_learn_in_bf16_is_tried_without_drawing_anything(monkeypatch):
    bf16_lstms.has_bf16_lstms.cache_clear()
    before = torch.get_rng_state()
    with torch.inference_mode():
        found = bf16_lstms.has_bf16_lstms()
    assert torch.equal(torch.get_rng_state(), before)
    assert found or not torch.cpu._is_avx512_bf16_supported()
    bf16_lstms.has_bf16_lstms.cache_clear()

    def refuse(*_):
        raise RuntimeError("could not create a primitive descriptor for the LSTM forward propagation primitive\nat x")

    monkeypatch.setattr(torch.nn.LSTM, "forward", refuse)
    assert bf16_lstms.has_bf16_lstms() is False
    bf16_lstms.has_bf16_lstms.cache_clear()

import logging
from pathlib import Path

import pytest
import torch

from pipeline.models.precision import announced_dtype, compute_device, compute_dtype

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(params=[True, False])
def has_bf16(request, monkeypatch) -> bool:
    """A machine whose CPU and GPU have, or have not, instructions for bf16."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: request.param)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: request.param)
    return request.param


@pytest.mark.parametrize("device", [CPU, GPU])
def test_auto_is_bf16_only_where_the_device_has_it(has_bf16, device):
    assert compute_dtype("auto", device) == (torch.bfloat16 if has_bf16 else torch.float32)


@pytest.mark.parametrize("device", [CPU, GPU])
@pytest.mark.usefixtures("has_bf16")
def test_what_is_asked_for_by_name_is_chosen_on_any_device(device):
    assert compute_dtype("fp32", device) == torch.float32
    assert compute_dtype("bf16", device) == torch.bfloat16


def test_this_cpu_is_asked_for_its_instructions():
    """Of a CPU with AVX-512 BF16 Linux says so; without, `auto` may not choose what would be emulated."""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    assert compute_dtype("auto", CPU) == (torch.bfloat16 if "avx512_bf16" in flags else torch.float32)


@pytest.mark.parametrize(
    ("precision", "device", "supported", "line"),
    [
        ("auto", CPU, False, "cpu in float32: `precision: auto`, and this CPU has no bf16 instructions"),
        ("auto", CPU, True, "cpu in bfloat16: `precision: auto`, and this CPU has bf16 instructions"),
        ("auto", GPU, True, "cuda in bfloat16: `precision: auto`, and PyTorch supports bf16 on this GPU"),
        ("bf16", CPU, False, "cpu in bfloat16: `precision: bf16`"),
    ],
)
def test_the_log_says_what_was_chosen_and_why(precision, device, supported, line, monkeypatch, caplog):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    with caplog.at_level(logging.INFO):
        assert announced_dtype(precision, device, "the detector") == compute_dtype(precision, device)
    assert caplog.messages == [f"the detector computes on {line}"]


def test_the_device_is_a_gpu_where_one_is_visible(monkeypatch):
    for visible, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda visible=visible: visible)
        assert compute_device() == torch.device(expected)

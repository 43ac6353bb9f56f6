import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.models import precision as precision_module
from pipeline.models.precision import announced_dtype, compute_device, compute_dtype, product_rates

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(params=[True, False])
def has_bf16(request, monkeypatch) -> bool:
    """A machine whose CPU and GPU have, or have not, instructions for bf16."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: request.param)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: request.param)
    monkeypatch.setattr(precision_module, "product_rates", lambda: (200.0, 100.0))
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
    ("bf16", "expected"), [(200.0, torch.bfloat16), (60.0, torch.bfloat16), (40.0, torch.float32), (0.4, torch.float32)]
)
def test_bf16_on_a_cpu_is_passed_over_only_at_a_clear_loss(bf16, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(precision_module, "product_rates", lambda: (bf16, 100.0))
    assert compute_dtype("auto", CPU) == expected


@pytest.mark.usefixtures("has_bf16")
def test_nothing_is_measured_where_it_decides_nothing(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(precision_module, "product_rates", lambda: pytest.fail("bf16 was computed"))
    for precision, device in (("auto", CPU), ("auto", GPU), ("fp32", CPU), ("bf16", CPU)):
        compute_dtype(precision, device)


def test_rates_are_measured_once_and_leave_the_threads_alone(monkeypatch):
    torch.set_num_threads(1)
    product_rates.cache_clear()
    rates = product_rates()
    monkeypatch.setattr(torch, "get_num_threads", lambda: pytest.fail("they were measured again"))
    assert product_rates() == rates
    assert all(0 < rate < 1e5 for rate in rates)
    monkeypatch.undo()
    assert torch.get_num_threads() == 1


def test_a_cpu_whose_library_emulates_bf16_computes_in_float32():
    """oneDNN reads this variable once in a process; without instructions for bf16 it converts number by number."""
    code = """if 1:
        import torch
        from pipeline.models.precision import compute_dtype, product_rates
        torch.cpu._is_avx512_bf16_supported = lambda: True
        assert compute_dtype("auto", torch.device("cpu")) == torch.float32, product_rates()
        """
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


CPU_RATES = "a core multiplies matrices at 200 GFLOP/s in bf16, at 100 in float32"


@pytest.mark.parametrize(
    ("precision", "device", "supported", "line"),
    [
        ("auto", CPU, False, "cpu in float32: `precision: auto`, and this CPU has no bf16 instructions"),
        ("auto", CPU, True, f"cpu in bfloat16: `precision: auto`, and this CPU has bf16 instructions: {CPU_RATES}"),
        ("auto", GPU, True, "cuda in bfloat16: `precision: auto`, and PyTorch supports bf16 on this GPU"),
        ("bf16", CPU, False, "cpu in bfloat16: `precision: bf16`"),
    ],
)
def test_the_log_says_what_was_chosen_and_why(precision, device, supported, line, monkeypatch, caplog):
    monkeypatch.setattr(precision_module, "product_rates", lambda: (200.0, 100.0))
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    with caplog.at_level(logging.INFO):
        assert announced_dtype(precision, device, "the detector") == compute_dtype(precision, device)
    assert caplog.messages == [f"the detector computes on {line}"]


def test_the_device_is_a_gpu_where_one_is_visible(monkeypatch):
    for visible, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda visible=visible: visible)
        assert compute_device() == torch.device(expected)

"""What the benchmark of TSTL's memory counts and measures."""

import subprocess
import sys

from benchmarks.tstl_memory import FULL, GROUPS, MEASURED, build, count

SMALL = MEASURED | {"width": 32, "heads": 1, "depth": 2}


def test_whole_models_have_the_body_once_more_each():
    (model, *_) = build(SMALL, True)
    body = sum(parameter.numel() for parameter in model.body.parameters())
    assert count(SMALL, False) - count(SMALL, True) == GROUPS * body


def test_a_body_and_sixteen_parts_are_0_9_thousand_million_parameters():
    assert round(count(FULL, True) / 1e6, 1) == 895.2


def test_the_parts_share_one_body():
    models = build(SMALL, True)
    assert len(models) == GROUPS + 1
    assert len({id(model.body) for model in models}) == 1
    assert len({id(model.body) for model in build(SMALL, False)}) == GROUPS + 1


def test_each_measured_process_ends_well():
    for way in ("nothing", "shared"):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.tstl_memory", "--way", way], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

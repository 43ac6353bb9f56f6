"""Memory that a step has freed is there for the next one, without the system clearing its pages again."""

import resource
import subprocess
import sys

STEPS = """
import resource, sys
import numpy as np
from pipeline.jobs.kept_memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
np.ones(2**25)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(2**25)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages_cleared(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", STEPS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_freed_block_is_used_again() -> None:
    pages = 5 * 2**25 * 8 // resource.getpagesize()
    assert pages_cleared("keep") < pages / 100

"""Artifacts from the future: what a clock leaves behind that is moved back.

Snakemake takes an output that is older than its input for the trace of clocks that differ, fails the job and deletes
the output. After the clock was moved back every job would end like that, until the time comes again.
"""

import os
import re
import sys
import time
from contextlib import suppress
from pathlib import Path

from pipeline.workflow.paths import ARTIFACTS


def bring_back(project: Path) -> None:
    """Let artifacts that are newer than now be of now; those that may not be changed are left to Snakemake to tell of.

    Args:
        project: The folder with `results`.
    """
    now = time.time_ns()
    found = {path for pattern in ARTIFACTS.values() for path in project.glob(re.sub(r"\{\w+\}", "*", pattern))}
    ahead = [path for path in found if path.stat().st_mtime_ns > now]
    for path in ahead:
        with suppress(OSError):
            os.utime(path, ns=(now, now))
    if ahead:
        print(f"the clock was moved back: {len(ahead)} artifacts were of the future, and are of now", file=sys.stderr)

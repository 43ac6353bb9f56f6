"""How long threads wait for their next piece of work before they give their core to others.

PyTorch cuts each operation for OpenMP's threads. A thread that is done early waits, by default, for some milliseconds
in a loop that keeps its core busy. Beside other processes the threads then wait for one that has no core, and a
training takes three to thirty times as long (docs/decisions/090).
"""

import os
from collections.abc import MutableMapping

SPIN_COUNT = "GOMP_SPINCOUNT"
TURNS = "1000"  # of the loop


def wait_shortly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let OpenMP's threads wait for a short time only, unless the user has said how they wait.

    It has an effect before PyTorch is imported, because GNU's OpenMP reads its environment once.

    Args:
        environment: The variables of this process.
    """
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault(SPIN_COUNT, TURNS)

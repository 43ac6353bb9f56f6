"""Stages as processes that get a signal after one of their optimiser's steps, for the tests of what goes on after it.

The processes are forked by one that has imported what is slow to import.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(
    [f"pipeline.stages.{stage}" for stage in ("finetune_clip4clip", "finetune_detector", "train_captioner")]
)


def run_stage(arguments: Sequence[object], log: Path, number: int = 0, after_step: int = 0) -> int:
    """Run a stage as the command line does.

    Args:
        arguments: The stage and its flags.
        log: Where its output goes.
        number: Of the signal that it gets, if any.
        after_step: After which step of its optimiser it gets it.

    Returns:
        The exit code; of a process that was killed, the signal as a negative number.
    """
    process = FORKING.Process(target=_run, args=([str(argument) for argument in arguments], log, number, after_step))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def signal_after(number: int, after_step: int, receiver: int = 0) -> None:
    """Send this process, or another one, a signal after a step of whatever optimiser."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    done = 0

    def count(*_: object) -> None:
        nonlocal done
        done += 1
        if done == after_step:
            os.kill(receiver or os.getpid(), number)

    register_optimizer_step_post_hook(count)


def _run(arguments: list[str], log: Path, number: int, after_step: int) -> None:
    import torch

    from pipeline.__main__ import main

    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    torch.set_num_threads(1)
    if number:
        signal_after(number, after_step)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.exit(main(arguments))

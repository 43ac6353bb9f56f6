"""Stages as processes that get a signal after a step of their optimiser or in a video, to see what goes on after it.

The processes are forked by one that has imported what is slow to import.
"""

import importlib
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

STAGES = (
    "finetune_clip4clip",
    "finetune_detector",
    "pretrain_videomae",
    "train_captioner",
    "train_lstm",
    "train_recognizer",
    "recognize_videos",
)
FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload([f"pipeline.stages.{stage}" for stage in STAGES])


def run_stage(
    arguments: Sequence[object], log: Path, number: int = 0, after_step: int = 0, num_ranks: int = 1
) -> list[int]:
    """Run a stage as the command line does, in one process or as the ranks of a training.

    Args:
        arguments: The stage and its flags.
        log: Where its output goes.
        number: Of the signal that its last rank gets, if any.
        after_step: After which step of its optimiser it gets it.
        num_ranks: How many processes.

    Returns:
        The exit codes; of a process that was killed, the signal as a negative number.
    """
    log.unlink(missing_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(num_ranks):
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": num_ranks, "LOCAL_WORLD_SIZE": num_ranks}
        environment = ranks | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port} if num_ranks > 1 else {}
        step = after_step if number and rank == num_ranks - 1 else 0
        given = [str(argument) for argument in arguments], log, number, step, environment
        processes.append(FORKING.Process(target=_run, args=given))
        processes[-1].start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def kill_in_video(stage: str, flags: Mapping[str, Any], number: int) -> int | None:
    """Run a stage that makes the rows of one video after another, until SIGKILL comes as it takes up one of them.

    Args:
        stage: The stage, whose module has a function `rows_of`.
        flags: What its `run` is given.
        number: Which video, from 1.

    Returns:
        The exit code: the signal as a negative number.
    """
    process = FORKING.Process(target=_die_in_video, args=(stage, dict(flags), number))
    process.start()
    process.join()
    return process.exitcode


def _die_in_video(stage: str, flags: dict[str, Any], number: int) -> None:
    import torch

    module: Any = importlib.import_module(f"pipeline.stages.{stage}")
    make, begun = module.rows_of, 0

    def make_or_die(*given: Any) -> Any:
        nonlocal begun
        begun += 1
        if begun == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return make(*given)

    module.rows_of = make_or_die
    torch.set_num_threads(1)
    module.run(**flags)


def files_in(folder: Path) -> dict[str, bytes]:
    """The bytes of every file in a folder, by path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _run(arguments: list[str], log: Path, number: int, after_step: int, environment: dict[str, object]) -> None:
    import torch
    from torch.optim.optimizer import register_optimizer_step_post_hook

    from pipeline.__main__ import main

    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.update({name: str(value) for name, value in environment.items()})
    torch.set_num_threads(1)
    done = 0

    def count(*_: object) -> None:
        nonlocal done
        done += 1
        if done == after_step:
            os.kill(os.getpid(), number)

    register_optimizer_step_post_hook(count)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.exit(main(arguments))

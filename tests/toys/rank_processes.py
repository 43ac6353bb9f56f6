"""Functions run as the ranks of a training: real processes that meet by gloo."""

import os
import socket
from collections.abc import Callable
from typing import Any

from toys.killed_stages import FORKING


def on_ranks(num: int, function: Callable[..., Any], *arguments: object) -> list[Any]:
    """What a function of a module returns on each rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    results = FORKING.SimpleQueue()
    processes = [
        FORKING.Process(target=_run, args=(results, rank, num, port, function, arguments)) for rank in range(num)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * num
    return [value for _, value in sorted((results.get() for _ in range(num)), key=lambda found: found[0])]


def _run(results: Any, rank: int, num: int, port: int, function: Callable[..., Any], arguments: tuple) -> None:
    values = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": num, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in values.items()} | {"CUDA_VISIBLE_DEVICES": ""})
    import torch

    torch.set_num_threads(1)
    results.put((rank, function(*arguments)))

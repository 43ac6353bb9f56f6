"""The ranks of a training, a process and a GPU each, and what they tell each other.

`pipeline.jobs.ranks` starts them; here they meet. A training in one process is one rank, which has nobody to ask.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from pipeline.jobs.progress import say

# The others wait while the first rank waits for a lock. A rank that has died is noticed at once, by its connection.
LONGEST_WAIT = timedelta(days=7)


class Ranks:
    """The ranks of this training, seen from one of them.

    Flags and Python values travel between CPUs (gloo), so that a question does not wait for a GPU; `sum` travels
    between the devices that its tensor lies on.

    Args:
        number: Of this rank, from 0.
        num: How many there are.
        group: Their gloo group; None for one.
    """

    def __init__(self, number: int = 0, num: int = 1, group: Any = None) -> None:
        self.number = number
        self.num = num
        self._group = group

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that writes and speaks for all."""
        return self.number == 0

    def say(self, text: str) -> None:
        """Print to the job's log, once for all ranks."""
        if self.is_first:
            say(text)

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Whether each flag is set on any of the ranks."""
        if self.num == 1:
            return flags
        found = torch.tensor(flags, dtype=torch.uint8)
        dist.all_reduce(found, dist.ReduceOp.MAX, group=self._group)
        return tuple(map(bool, found))

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks, in order, on each of them; tensors lie on the CPU."""
        if self.num == 1:
            return [value]
        values: list[Any] = [None] * self.num
        dist.all_gather_object(values, value, group=self._group)
        return values

    def from_first(self, value: Any) -> Any:
        """The value that the first rank has."""
        if self.num == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, group=self._group)
        return values[0]

    def sum(self, x: Tensor) -> Tensor:
        """The sum of the tensors of all ranks; no gradient passes."""
        if self.num == 1:
            return x
        total = x.detach().clone()
        dist.all_reduce(total)
        return total


def num_ranks() -> int:
    """How many ranks this process is one of, as the launcher says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_rank() -> bool:
    """Whether this process is the rank that speaks for all, or the only one."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Meet the other ranks, if there are any; inside, this process computes on the GPU of its own rank."""
    if num_ranks() == 1:
        yield Ranks()
        return
    on_gpus = torch.cuda.is_available()
    if on_gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpus else "gloo")
    try:
        yield Ranks(dist.get_rank(), num_ranks(), dist.new_group(backend="gloo", timeout=LONGEST_WAIT))
    finally:
        dist.destroy_process_group()

"""The ranks of a training, each a process with a GPU of its own, and what they tell each other.

`pipeline.jobs.ranks` starts them, and here they connect. A training in one process is a single rank.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

# The others wait while the first rank waits for a lock. A rank that has died is noticed at once, by its connection.
LONGEST_WAIT = timedelta(days=7)


class Ranks:
    """The ranks of this training, seen from one of them.

    Flags and Python values travel between CPUs (gloo), so that a question does not wait for a GPU. Tensors to `sum`
    travel between the devices that they lie on.

    Args:
        number: Number of this rank, from 0.
        num: Number of ranks.
        group: Their gloo group; None for a single rank.
    """

    def __init__(self, number: int = 0, num: int = 1, group: Any = None) -> None:
        self.number = number
        self.num = num
        self._group = group

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that writes for all."""
        return self.number == 0

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Whether each flag is set on any of the ranks; each rank gives as many flags."""
        if self.num == 1:
            return flags
        found = torch.tensor(flags, dtype=torch.uint8)
        dist.all_reduce(found, dist.ReduceOp.MAX, group=self._group)
        return tuple(map(bool, found))

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks, in the order of the ranks, on each rank. Tensors in a value must lie on the CPU."""
        if self.num == 1:
            return [value]
        values: list[Any] = [None] * self.num
        dist.all_gather_object(values, value, group=self._group)
        return values

    def from_first(self, value: Any) -> Any:
        """The value of the first rank, on each rank."""
        if self.num == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, group=self._group)
        return values[0]

    def sum(self, x: Tensor) -> Tensor:
        """The sum of the ranks' tensors of one shape; no gradient passes. A single rank gets its own tensor back."""
        if self.num == 1:
            return x
        total = x.detach().clone()
        dist.all_reduce(total)
        return total


def num_ranks() -> int:
    """Number of ranks of this training, as the launcher says in WORLD_SIZE; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Connect to the other ranks, if any. Inside this context, the process computes on the GPU of its own rank."""
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

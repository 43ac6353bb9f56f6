"""Learning rates over the steps of a training."""

import math
from dataclasses import dataclass, field

from torch.optim.lr_scheduler import LambdaLR

DROP = 0.1  # factor of the learning rate at each of `steps`, and where a loss stays on a plateau
ENOUGH = 1e-4  # share by which a loss must fall below the least one to be off the plateau
POWER = 0.9  # of `polynomial` (Chen et al., "DeepLab", 2018)


@dataclass
class Rate:
    """The factor of the learning rate in each step; the state of `plateau` is in its numbers.

    Attributes:
        schedule: `constant`, `cosine` (to `least_share` at the end), `polynomial` (to 0 at the end), `steps` (a tenth
            at each), or `plateau` (a tenth where the validation loss was not better for some validations).
        num_steps: Steps of the whole training.
        warmup: Steps in which the rate rises, at the beginning.
        drops: The steps at which it drops; of `plateau`, one number: the validations that are waited for.
        factor: What is left of it after the drops of `plateau`.
        least_share: What `cosine` ends with.
        least: The least validation loss so far.
        waited: Validations since then.
    """

    schedule: str
    num_steps: int
    warmup: int
    drops: list[int] = field(default_factory=list)
    least_share: float = 0.0
    factor: float = 1.0
    least: float = math.inf
    waited: int = 0

    def __call__(self, step: int) -> float:
        """The factor in a step, from 0."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = min(1.0, (step - self.warmup) / max(1, self.num_steps - self.warmup))
        if self.schedule == "cosine":
            return self.least_share + (1 - self.least_share) * 0.5 * (1 + math.cos(math.pi * done))
        if self.schedule == "polynomial":
            return float((1 - done) ** POWER)
        if self.schedule == "steps":
            return float(DROP ** sum(step >= drop for drop in self.drops))
        return self.factor

    def observe(self, loss: float) -> None:
        """Take a validation loss into account, with `plateau` alone."""
        if self.schedule != "plateau":
            return
        if loss < self.least * (1 - ENOUGH):
            self.least, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited >= self.drops[0]:
            self.factor, self.waited = self.factor * DROP, 0


def observe_loss(schedule: LambdaLR, loss: float) -> None:
    """Give a validation loss to the schedule; the next step has the learning rate that follows from it."""
    (rate, *_) = schedule.lr_lambdas
    assert isinstance(rate, Rate)
    rate.observe(loss)
    for group, base in zip(schedule.optimizer.param_groups, schedule.base_lrs, strict=True):
        group["lr"] = base * rate(schedule.last_epoch)

"""AdaBound (Luo et al., "Adaptive Gradient Methods with Dynamic Bound of Learning Rate", ICLR 2019, algorithm 2).

Adam, whose step size of every weight is kept between two bounds that both go to one final rate: the training begins
as Adam's and ends as that of SGD with momentum. As in the authors' code, running means are corrected for their
beginning, and steps are not divided by the root of their number, as they are in the algorithm on paper.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer

BETAS = (0.9, 0.999)  # of the running means of gradients and of their squares
GAMMA = 1e-3  # how fast the bounds come together
EPS = 1e-8


class AdaBound(Optimizer):
    """The optimiser; weight decay is added to gradients, as Adam does.

    Args:
        params: Parameters, or groups of some.
        lr: Learning rate at the beginning.
        final_lr: What the step size of every weight goes to. It falls as the learning rate does.
        weight_decay: Share of a weight that is added to its gradient.
    """

    def __init__(self, params: Iterable[Any], lr: float, final_lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "first_lr": lr, "final_lr": final_lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Change every parameter that has a gradient."""
        for group in self.param_groups:
            final = group["final_lr"] * group["lr"] / group["first_lr"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient = parameter.grad.add(parameter, alpha=group["weight_decay"])
                state = self.state[parameter]
                if not state:
                    state["step"] = 0
                    state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
                state["step"] += 1
                step = state["step"]
                state["mean"].lerp_(gradient, 1 - BETAS[0])
                state["square"].mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
                scale = group["lr"] * (1 - BETAS[1] ** step) ** 0.5 / (1 - BETAS[0] ** step)
                low, high = final * (1 - 1 / (GAMMA * step + 1)), final * (1 + 1 / (GAMMA * step))
                sizes = (scale / (state["square"].sqrt() + EPS)).clamp(low, high)
                parameter.sub_(sizes * state["mean"])

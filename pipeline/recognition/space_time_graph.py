"""Nodes that take turns between time and space: a recurrence of each node along time, then messages in each frame.

RSTG (Nicolicioiu et al., 2019, section 3) and DyReg (Duta et al., 2021, section 3.3) share this schedule. All rounds
share their weights; each starts its recurrence from zero.

Shapes: B clips, T time steps, N nodes, D width of a node.
"""

from typing import Literal

import torch
from torch import Tensor, nn

Stages = Literal["all", "one", "space", "time", "homogeneous"]


class Recurrence(nn.Module):
    """A recurrent layer along time, in which each node is a sequence of its own.

    Args:
        cell: The recurrent network, whose hidden state is as wide as its input.
    """

    def __init__(self, cell: nn.LSTM | nn.GRU) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, nodes_BTND: Tensor) -> Tensor:
        """Give the states of each node at each time step, `[B, T, N, D]`."""
        clips, steps, num_nodes, width = nodes_BTND.shape
        sequences_TXD = nodes_BTND.transpose(0, 1).reshape(steps, clips * num_nodes, width)
        states_TXD, _ = self.cell(sequences_TXD)
        return states_TXD.view(steps, clips, num_nodes, width).transpose(0, 1)  # type: ignore[no-any-return]


class SpaceTimeGraph(nn.Module):
    """Rounds of recurrence in time and messages in space, and a last recurrence.

    Args:
        internal: Recurrence of each round.
        external: Recurrence after the last round.
        messages: Gives what each node is told in a frame, `[F, N, D]`, from the nodes, `[F, N, D]`, and from the same
            nodes in other frames, `[F, N, S, D]` or None.
        update: Gives the nodes anew from nodes and what they were told.
        num_rounds: How often time and space take turns.
        stages: `all`: as above. `one`: rounds of messages, and the last recurrence alone. `space`: rounds of messages
            alone; the caller's mean over time is all it knows of time. `time`: recurrences alone. `homogeneous`:
            rounds of messages alone, in which a node also hears itself a step earlier and a step later, by the same
            weights as its neighbours in space. The paper says that space and time share their parameters, and no more;
            at the ends of a clip, where a step is missing, a node hears itself.
    """

    def __init__(
        self,
        internal: Recurrence,
        external: Recurrence,
        messages: nn.Module,
        update: nn.Module,
        num_rounds: int = 3,
        stages: Stages = "all",
    ) -> None:
        super().__init__()
        self.num_rounds, self.stages = num_rounds, stages
        # A stage that is left out has no weights: what is counted and stored is what is used.
        self.internal = internal if stages in ("all", "time") else None
        self.external = external if stages not in ("space", "homogeneous") else None
        self.messages = messages if stages != "time" else None
        self.update = update if stages != "time" else None

    def forward(self, nodes_BTND: Tensor) -> Tensor:
        """Give the nodes after the last stage, `[B, T, N, D]`."""
        for _ in range(self.num_rounds):
            if self.internal is not None:
                nodes_BTND = self.internal(nodes_BTND)
            if self.messages is not None and self.update is not None:
                nodes_FND = nodes_BTND.flatten(0, 1)
                told_FND = self.messages(nodes_FND, self._beside(nodes_BTND))
                nodes_BTND = self.update(nodes_FND, told_FND).view(nodes_BTND.shape)
        return nodes_BTND if self.external is None else self.external(nodes_BTND)

    def _beside(self, nodes_BTND: Tensor) -> Tensor | None:
        """Each node a step earlier and a step later, `[F, N, 2, D]`, where these send messages, too."""
        if self.stages != "homogeneous":
            return None
        earlier = torch.cat([nodes_BTND[:, :1], nodes_BTND[:, :-1]], 1)
        later = torch.cat([nodes_BTND[:, 1:], nodes_BTND[:, -1:]], 1)
        return torch.stack([earlier, later], 3).flatten(0, 1)


class ResidualUpdate(nn.Module):
    """Adds to each node what it was told, and normalises the nodes of a frame together.

    Args:
        norm: Normalises `[F, N, D]` over nodes and channels.
    """

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, nodes_FND: Tensor, told_FND: Tensor) -> Tensor:
        """Give the nodes anew, `[F, N, D]`."""
        return self.norm(nodes_FND + told_FND)  # type: ignore[no-any-return]


class PerceptronUpdate(nn.Module):
    """Two layers on each node and what it was told, with weights of their own for each group of nodes.

    Args:
        node_dim: D.
        groups: Number of nodes in each group, in the order of the nodes.
        norm: Normalises `[F, N, D]` over nodes and channels; None for no norm.
    """

    def __init__(self, node_dim: int, groups: list[int], norm: nn.Module | None) -> None:
        super().__init__()
        self.groups = groups
        self.first = nn.ModuleList(nn.Linear(2 * node_dim, node_dim) for _ in groups)
        self.second = nn.ModuleList(nn.Linear(node_dim, node_dim) for _ in groups)
        self.norm = norm

    def forward(self, nodes_FND: Tensor, told_FND: Tensor) -> Tensor:
        """Give the nodes anew, `[F, N, D]`."""
        both = torch.split(torch.cat([nodes_FND, told_FND], -1), self.groups, 1)
        anew = [
            torch.relu(second(torch.relu(first(group))))
            for first, second, group in zip(self.first, self.second, both, strict=True)
        ]
        nodes_FND = torch.cat(anew, 1)
        return nodes_FND if self.norm is None else self.norm(nodes_FND)

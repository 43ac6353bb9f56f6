"""RSTG and DyReg as they are written down: frame after frame, with a message for each ordered pair of nodes.

They take the layers of a module of ours, so both ways have equal weights, and gradients reach the same parameters.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.recognition.dyreg import DyReg
from pipeline.recognition.messages import DotAttention, PairMessages
from pipeline.recognition.rstg import Rstg


class PlainRstg(nn.Module):
    """The map of an RSTG module with dot attention of one head, without projections and positions.

    Args:
        module: The module.
        one_by_one: Whether each message is computed by itself; otherwise all of a frame are one product.
    """

    def __init__(self, module: Rstg, one_by_one: bool) -> None:
        super().__init__()
        self.module, self.one_by_one = module, one_by_one

    def forward(self, x: Tensor) -> Tensor:
        """Give maps, `[B, T, C, H, W]`."""
        nodes = torch.stack([self._nodes(clip) for clip in x])
        y = torch.einsum("btnc,nyx->btyxc", nodes, self.module.covers)
        return self.module.residual(x.movedim(2, -1), y).movedim(-1, 2)  # type: ignore[misc]

    def _nodes(self, clip: Tensor) -> Tensor:
        graph = self.module.graph
        nodes = torch.stack([torch.einsum("nyx,cyx->nc", self.module.kernels, frame) for frame in clip])
        nodes = self.module.before(nodes)  # type: ignore[misc]
        for _ in range(graph.num_rounds):
            nodes = along_time(graph.internal.cell, nodes)
            frames = []
            for frame in nodes:
                messages = graph.messages
                assert isinstance(messages, PairMessages)
                attention = messages.attentions[0]
                logits = attention.query(frame) @ attention.key(frame).T * attention.edges
                sent = messages.norm(pairs(frame, self._message, self.one_by_one))
                told = (torch.softmax(logits, 1)[:, :, None] * sent).sum(1)
                frames.append(graph.update(frame[None], torch.relu(told + messages.bias)[None])[0])
            nodes = torch.stack(frames)
        return along_time(graph.external.cell, nodes)

    def _message(self, receiver: Tensor, sender: Tensor) -> Tensor:
        messages: Any = self.module.graph.messages
        return torch.relu(messages.second(torch.relu(messages.first(torch.cat([sender, receiver], -1)))))


class PlainGraph(nn.Module):
    """The graph of a DyReg module, from nodes `[B, T, N, D]` to nodes.

    Args:
        module: The module.
        one_by_one: Whether each message is computed by itself; otherwise all of a frame are one product.
    """

    def __init__(self, module: DyReg, one_by_one: bool) -> None:
        super().__init__()
        self.module, self.one_by_one = module, one_by_one

    def forward(self, nodes_BTND: Tensor) -> Tensor:
        """Give the nodes after the last recurrence."""
        return torch.stack([self._nodes(clip) for clip in nodes_BTND])

    def _nodes(self, nodes: Tensor) -> Tensor:
        graph: Any = self.module.graph
        for _ in range(graph.num_rounds):
            nodes = along_time(graph.internal.cell, nodes)
            frames = []
            for frame in nodes:
                attention = graph.messages.attention
                assert isinstance(attention, DotAttention)
                weights = torch.softmax(attention.query(frame) @ attention.key(frame).T, 1)
                sent = graph.messages.norm(pairs(frame, self._message, self.one_by_one))
                told = (weights[:, :, None] * sent).sum(1)
                frames.append(graph.update(frame, torch.relu(told + graph.messages.bias)))
            nodes = torch.stack(frames)
        return along_time(graph.external.cell, nodes)

    def _message(self, receiver: Tensor, sender: Tensor) -> Tensor:
        first: Any = self.module.graph.messages
        return torch.relu(F.linear(receiver + sender, first.first.weight, first.first.bias))


def pairs(nodes: Tensor, message: Any, one_by_one: bool) -> Tensor:
    """The message to each receiver from each sender, `[N, N, D]`."""
    count = len(nodes)
    if one_by_one:
        return torch.stack([torch.stack([message(nodes[i], nodes[j]) for j in range(count)]) for i in range(count)])
    shape = (count, count, nodes.shape[1])
    return message(nodes[:, None].expand(shape), nodes[None].expand(shape))  # type: ignore[no-any-return]


def along_time(cell: nn.Module, nodes: Tensor) -> Tensor:
    """Each node's sequence by itself, `[T, N, D]`."""
    return torch.stack([cell(nodes[:, [number]])[0][:, 0] for number in range(nodes.shape[1])], 1)

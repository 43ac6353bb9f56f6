"""Messages between the nodes of a frame, weighted by attention and added up for each receiver.

The first layer of a message sees sender and receiver. It is linear before its activation, so it is computed for N
nodes and not for N x N pairs: W [v_j ; v_i] = A v_j + B v_i, and W (v_j + v_i) = W v_j + W v_i. Where a norm over all
messages of a frame follows, the weighted sum is taken before it, because the weights of a receiver sum to 1.

Shapes: F frames (clips times time steps), N nodes, D width of a node, P width of a position, E heads, S
other frames in which a node hears itself.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.recognition.norms import JointNorm


class DotAttention(nn.Module):
    """Weights by the product of a query of the receiver and a key of the sender, without scaling.

    Args:
        node_dim: D.
        width: Width of queries and keys.
        edges: `[N, N]`, 1 where two nodes are neighbours: other pairs take part with a product of 0. None: all are.
    """

    def __init__(self, node_dim: int, width: int, edges: Tensor | None = None) -> None:
        super().__init__()
        self.query = nn.Linear(node_dim, width)
        self.key = nn.Linear(node_dim, width)
        self.register_buffer("edges", edges, persistent=False)

    def forward(self, nodes_FND: Tensor, beside_FNSD: Tensor | None = None) -> Tensor:
        """Give the weights, `[F, N, N]`; with those of a node's own other frames behind them, `[F, N, N + S]`."""
        query_FND = self.query(nodes_FND)
        logits_FNX = query_FND @ self.key(nodes_FND).transpose(1, 2)
        if self.edges is not None:
            logits_FNX = logits_FNX * self.edges
        if beside_FNSD is not None:
            logits_FNS = (self.key(beside_FNSD) @ query_FND[..., None])[..., 0]
            logits_FNX = torch.cat([logits_FNX, logits_FNS], -1)
        return torch.softmax(logits_FNX, -1)


class AdditiveAttention(nn.Module):
    """Weights by a term of the receiver and a term of the sender (Velickovic et al., 2018), and 1 more for neighbours.

    Args:
        node_dim: D.
        edges: `[N, N]`, 1 where two nodes are neighbours.
    """

    edges: Tensor

    def __init__(self, node_dim: int, edges: Tensor) -> None:
        super().__init__()
        self.receiver = nn.Linear(node_dim, 1)
        self.sender = nn.Linear(node_dim, 1)
        self.register_buffer("edges", edges, persistent=False)

    def forward(self, nodes_FND: Tensor, beside_FNSD: Tensor | None = None) -> Tensor:
        """Give the weights, `[F, N, N]`; with those of a node's own other frames behind them, `[F, N, N + S]`."""
        receiver_FN1 = self.receiver(nodes_FND)
        sums_FNN = receiver_FN1 + self.sender(nodes_FND).transpose(1, 2)
        logits_FNX = F.leaky_relu(sums_FNN * self.edges, 0.2) + self.edges
        if beside_FNSD is not None:
            sums_FNS = receiver_FN1 + self.sender(beside_FNSD)[..., 0]
            logits_FNX = torch.cat([logits_FNX, F.leaky_relu(sums_FNS, 0.2) + 1], -1)
        return torch.softmax(logits_FNX, -1)


class PairMessages(nn.Module):
    """Messages of two layers on sender and receiver side by side (RSTG, section 3.2), and their sum for each receiver.

    Args:
        node_dim: D.
        attentions: The weights of each head.
        positions: `[N, P]`, constants that the first layer sees beside each node; None for none.
        norm: Normalises the messages of a frame; None for no norm.
        sum_norm: Normalises the sums of a frame before their activation; None for no norm.

    With several heads, each has a linear layer of its own to D / E channels on the messages; their results stand side
    by side.
    """

    positions: Tensor | None

    def __init__(
        self,
        node_dim: int,
        attentions: list[nn.Module],
        positions: Tensor | None = None,
        norm: JointNorm | None = None,
        sum_norm: JointNorm | None = None,
    ) -> None:
        super().__init__()
        num_positions = 0 if positions is None else positions.shape[1]
        self.register_buffer("positions", positions, persistent=False)
        self.first = nn.Linear(2 * (node_dim + num_positions), node_dim)  # the sender first
        self.second = nn.Linear(node_dim, node_dim)
        self.norm, self.sum_norm = norm, sum_norm
        self.attentions = nn.ModuleList(attentions)
        head_dim = node_dim // len(attentions)
        alone = len(attentions) == 1
        self.heads = nn.ModuleList([] if alone else [nn.Linear(node_dim, head_dim) for _ in attentions])
        self.bias = nn.Parameter(torch.zeros(node_dim))

    def forward(self, nodes_FND: Tensor, beside_FNSD: Tensor | None = None) -> Tensor:
        """Give what each node is told, `[F, N, D]`, not negative, by the nodes and by itself in other frames."""
        messages_FNXD = self._messages(nodes_FND, beside_FNSD)
        told = [self._weighted(attention(nodes_FND, beside_FNSD), messages_FNXD) for attention in self.attentions]
        if len(self.heads):
            told = [head(sums_FND) for head, sums_FND in zip(self.heads, told, strict=True)]
        sums_FND = torch.cat(told, -1) + self.bias
        return torch.relu(sums_FND if self.sum_norm is None else self.sum_norm(sums_FND))

    def _messages(self, nodes_FND: Tensor, beside_FNSD: Tensor | None) -> Tensor:
        """Messages to each receiver from each sender, `[F, N, N, D]`, and from its own other frames behind them."""
        seen = self._placed(nodes_FND)
        of_sender, of_receiver = torch.split(self.first.weight, seen.shape[-1], 1)
        sent_FXXD = F.linear(seen, of_sender, self.first.bias)[:, None]
        taken_FN1D = F.linear(seen, of_receiver)[:, :, None]
        if beside_FNSD is not None:
            own_FNSD = F.linear(self._placed(beside_FNSD), of_sender, self.first.bias)
            sent_FXXD = torch.cat([sent_FXXD.expand(-1, nodes_FND.shape[1], -1, -1), own_FNSD], 2)
        return torch.relu(self.second(torch.relu(taken_FN1D + sent_FXXD)))

    def _placed(self, nodes: Tensor) -> Tensor:
        """Nodes `[F, N, .., D]` with the position of each behind it."""
        if self.positions is None:
            return nodes
        between = (1,) * (nodes.ndim - 3)
        positions = self.positions.to(nodes.dtype).view(len(self.positions), *between, -1)
        return torch.cat([nodes, positions.expand(*nodes.shape[:-1], -1)], -1)

    def _weighted(self, weights_FNX: Tensor, messages_FNXD: Tensor) -> Tensor:
        sums_FND = (weights_FNX[:, :, None] @ messages_FNXD)[:, :, 0]
        return sums_FND if self.norm is None else normed_sum(self.norm, sums_FND, messages_FNXD)


class SumMessages(nn.Module):
    """Messages of one layer on the sum of sender and receiver (DyReg), and their sum for each receiver.

    Args:
        node_dim: D.
        attention: Weights of the senders.
        norm: Normalises the messages of a frame.
    """

    def __init__(self, node_dim: int, attention: nn.Module, norm: JointNorm) -> None:
        super().__init__()
        self.first = nn.Linear(node_dim, node_dim)
        self.attention = attention
        self.norm = norm
        self.bias = nn.Parameter(torch.zeros(node_dim))

    def forward(self, nodes_FND: Tensor, beside_FNSD: None = None) -> Tensor:
        """Give what each node is told, `[F, N, D]`, not negative; by the nodes of the same frame alone."""
        del beside_FNSD
        seen_FND = F.linear(nodes_FND, self.first.weight)
        messages_FNND = torch.relu((seen_FND + self.first.bias)[:, :, None] + seen_FND[:, None])
        sums_FND = (self.attention(nodes_FND)[:, :, None] @ messages_FNND)[:, :, 0]
        return torch.relu(normed_sum(self.norm, sums_FND, messages_FNND) + self.bias)


def normed_sum(norm: JointNorm, sums_FND: Tensor, messages_FNND: Tensor) -> Tensor:
    """The weighted sums as they would be of messages that were normalised before, if the weights of each sum to 1."""
    # In float32 whatever is computed in: a variance is what is left of two larger numbers.
    with torch.autocast(messages_FNND.device.type, enabled=False):
        flat_FX = messages_FNND.flatten(1).float()
        mean_F11 = flat_FX.mean(1)[:, None, None]
        # The mean square by a product of a row with itself, without another tensor of this size.
        square_F11 = flat_FX[:, None] @ flat_FX[:, :, None] / flat_FX.shape[1]
        return norm.scaled(sums_FND.float(), mean_F11, (square_F11 - mean_F11.square()).clamp(min=0))

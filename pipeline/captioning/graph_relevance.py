"""Relevance of the nodes and edges of an action graph for every word of the caption that was made of it.

What is measured is the natural logarithm of a word's probability, given the graph and the words before it, by the
decoder that says the caption: the left-to-right one. The right-to-left caption that it has in view keeps its words, and
its hidden states are computed anew from each changed graph.

- Integrated gradients (Sundararajan et al., ICML 2017, sections 3 and 5): all nodes go straight from the mean node to
  what they are, and each is given its part of what the word gains. The parts of all nodes sum up to the whole gain.
- Occlusion (Zeiler and Fergus, ECCV 2014, section 4.2): what the word loses when the mean node takes a node's place.
- Edges are given integrated gradients of their gates, from no messages at all to all messages.

A node that is removed has the features of the mean node. It keeps its box and its edges, and frames keep their motion:
a graph without it would be one of a kind that the captioner was never trained with.

Shapes: K changed copies of a graph, N nodes, D node features, E edges, W words of the caption, F features of any shape.
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from captum.attr import IntegratedGradients
from numpy.typing import NDArray
from torch import Tensor

from pipeline.captioning.captioner import Captioner
from pipeline.models.action_graph import ActionGraph, batch_graphs
from pipeline.vocabulary import BOS

STEPS = 32  # of integrated gradients, at the places of Gauss and Legendre
NODES_AT_ONCE = 2048  # of the copies of a graph that are computed together

LogP = Callable[[Tensor], Tensor]  # from inputs [K, F] to log-probabilities of all words of the caption [K, W]


class CaptionedGraph:
    """A graph and the caption that a captioner made of it: says how likely each word is when the graph is changed.

    Args:
        model: The captioner, in evaluation mode.
        graph: The video's graph, on the model's device.
        tokens: Words of the caption.
        turned: Words of the right-to-left caption that the decoder has in view, in reading order.
        away_D: The features that a removed node has.
    """

    def __init__(
        self, model: Captioner, graph: ActionGraph, tokens: Sequence[int], turned: Sequence[int], away_D: Tensor
    ) -> None:
        self.model, self.graph = model, graph
        self.tokens = torch.tensor(list(tokens), dtype=torch.long, device=graph.x.device)
        self.turned = torch.tensor([BOS, *reversed(turned)], device=graph.x.device)
        self.away_ND = away_D.to(graph.x).expand_as(graph.x)
        self.at_once = max(1, NODES_AT_ONCE // max(1, len(graph.x)))
        self._copies: dict[int, Any] = {}

    def log_p(self, x_KND: Tensor, gate_KE: Tensor | None = None) -> Tensor:
        """Log-probability of each word, `[K, W]` in float32, in copies of the graph with these nodes and gates."""
        number = len(x_KND)
        if number not in self._copies:
            self._copies = {number: batch_graphs([self.graph] * number)}
        graphs = copy.copy(self._copies[number])
        graphs.x = x_KND.flatten(0, 1)
        if gate_KE is not None:
            graphs.edge_gate = gate_KE.flatten()
        read_W = torch.cat([self.turned[:1], self.tokens[:-1]])
        own_K = torch.arange(number, device=x_KND.device)
        turned_KM = self.turned.expand(number, -1)
        logits_KWV: Tensor = self.model(
            graphs, read_W.expand(number, -1), turned_KM, torch.ones_like(turned_KM, dtype=torch.bool), own_K
        )[0]
        return logits_KWV.float().log_softmax(2)[:, torch.arange(len(self.tokens)), self.tokens]

    def log_p_of_gates(self, gate_KE: Tensor) -> Tensor:
        """Log-probability of each word, `[K, W]`, when the messages of each edge are multiplied by its gate."""
        return self.log_p(self.graph.x.expand(len(gate_KE), -1, -1), gate_KE)

    @torch.no_grad()
    def log_p_of_kept(self, kept_KN: NDArray[np.bool_]) -> NDArray[Any]:
        """Log-probability of each word, `[K, W]`, when all nodes but some are removed."""
        kept = torch.from_numpy(kept_KN).to(self.graph.x.device)[:, :, None]
        parts = torch.split(kept, self.at_once)
        found = [self.log_p(torch.where(part, self.graph.x, self.away_ND)) for part in parts]
        return np.asarray(torch.cat(found).cpu().numpy())

    def nodes(self, method: str) -> NDArray[np.float32]:
        """Relevance of each node for each word, `[W, N]`, by a key of `METHODS`."""
        return _array(METHODS[method](self.log_p, self.graph.x, self.away_ND, len(self.tokens), self.at_once))

    def edges(self) -> NDArray[np.float32]:
        """Relevance of each edge for each word, `[W, E]`, by integrated gradients of the gates."""
        gate_E = self.graph.x.new_ones(self.graph.num_edges)
        num_words = len(self.tokens)
        if not len(gate_E):
            return np.zeros((num_words, 0), np.float32)
        none_E = torch.zeros_like(gate_E)
        return _array(integrated_gradients(self.log_p_of_gates, gate_E, none_E, num_words, self.at_once))


def integrated_gradients(log_p: LogP, x_F: Tensor, away_F: Tensor, num_words: int, at_once: int) -> Tensor:
    """Integrated gradients of each word's log-probability, `[W, F]`.

    For each word they sum up to the difference of `log_p` between the input and what it is held against.

    Args:
        log_p: Log-probabilities of the words, of several inputs.
        x_F: The input.
        away_F: What it is held against, of the same shape.
        num_words: Number of words W.
        at_once: Most inputs that `log_p` is given at once.
    """
    gradients = IntegratedGradients(log_p)
    found = [
        gradients.attribute(x_F[None], away_F[None], target=word, n_steps=STEPS, internal_batch_size=at_once)[0]
        for word in range(num_words)
    ]
    return torch.stack(found).to(x_F.dtype) if found else x_F.new_zeros(0, *x_F.shape)


def nodes_by_integrated_gradients(log_p: LogP, x_ND: Tensor, away_ND: Tensor, num_words: int, at_once: int) -> Tensor:
    """Relevance of nodes, `[W, N]`: the sum of the integrated gradients of their features."""
    return integrated_gradients(log_p, x_ND, away_ND, num_words, at_once).sum(2)


@torch.no_grad()
def nodes_by_occlusion(log_p: LogP, x_ND: Tensor, away_ND: Tensor, num_words: int, at_once: int) -> Tensor:
    """Relevance of nodes, `[W, N]`: what the log-probability of a word loses without the node."""
    if not num_words:
        return x_ND.new_zeros(0, len(x_ND))
    whole_1W = log_p(x_ND[None])
    without = torch.eye(len(x_ND), dtype=torch.bool, device=x_ND.device)[:, :, None]
    parts = torch.split(without, at_once)
    return torch.cat([whole_1W - log_p(torch.where(part, away_ND, x_ND)) for part in parts]).T


METHODS: dict[str, Callable[[LogP, Tensor, Tensor, int, int], Tensor]] = {
    "integrated_gradients": nodes_by_integrated_gradients,
    "occlusion": nodes_by_occlusion,
}


def mean_node(nodes: Iterable[NDArray[Any]]) -> Tensor:
    """The mean `[D]`, in float32, over all nodes `[N, D]` of some videos.

    Raises:
        ValueError: There is no node.
    """
    total, count = None, 0
    for x_ND in nodes:
        of_video = x_ND.sum(0, dtype=np.float64)
        total, count = of_video if total is None else total + of_video, count + len(x_ND)
    if total is None or not count:
        raise ValueError("no node to take the mean of")
    return torch.from_numpy((total / count).astype(np.float32))


def _array(x: Tensor) -> NDArray[np.float32]:
    return np.asarray(x.detach().float().cpu().numpy())

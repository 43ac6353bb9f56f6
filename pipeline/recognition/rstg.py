"""The recurrent space-time graph over a fixed grid of regions (RSTG; Nicolicioiu, Duta and Leordeanu, NeurIPS 2019).

Nodes are the means of the cells of three grids. Each round runs an LSTM along time for each node, then messages between
the nodes of each frame. The result goes into one vector, or back to where the cells are.

Shapes: B clips, T time steps, N nodes (14 for three scales), C channels of the backbone, D width of a node, H height
and W width of a map.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import PipelineError
from pipeline.recognition.grids import grid_boxes, grid_edges, grid_positions, grid_sizes
from pipeline.recognition.messages import AdditiveAttention, DotAttention, PairMessages
from pipeline.recognition.norms import JointNorm
from pipeline.recognition.published import Rename, load_renamed
from pipeline.recognition.region_pool import area_covers, area_kernels, pool, spread
from pipeline.recognition.space_time_graph import PerceptronUpdate, Recurrence, SpaceTimeGraph, Stages

SCALES = 3
NORM_EPS = 1e-12  # TensorFlow's layer norm; 1e-5 moves outputs by up to 3e-3
BATCH_NORM_EPS = 1e-3  # TensorFlow's
BATCH_NORM_MOMENTUM = 0.01

# Our names, and those of the plain form of the authors' network.
RENAMES: tuple[Rename, ...] = (
    (r"project\.(.+)", r"proj.\1"),
    (r"batch_norm\.(.+)", r"bn.\1"),
    (r"before\.(.+)", r"pre_ln.\1"),
    (r"graph\.internal\.cell\.(.+)", r"lstm_int.\1"),
    (r"graph\.external\.cell\.(.+)", r"lstm_ext.\1"),
    (r"graph\.messages\.first\.(.+)", r"send1.\1"),
    (r"graph\.messages\.second\.(.+)", r"send2.\1"),
    (r"graph\.messages\.norm\.(.+)", r"send_ln.\1"),
    (r"graph\.messages\.sum_norm\.(.+)", r"att_ln.\1"),
    (r"graph\.messages\.bias", r"att.bias"),
    (r"graph\.update\.norm\.(.+)", r"update_ln.\1"),
    (r"project_back\.(.+)", r"back.\1"),
    (r"residual\.offset", r"res_ln.bias"),
    (r"residual\.scale", r"res_scale"),
)


class ResidualNorm(nn.Module):
    """Adds a result to what came in: normed over all of a clip, with an offset, times a gain of 0 at the beginning.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(channels))
        self.offset = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Add `y` to `x`, both `[B, .., C]`."""
        return torch.addcmul(x, self.scale, F.layer_norm(y, y.shape[1:], eps=NORM_EPS) + self.offset)


class Rstg(nn.Module):
    """A recurrent space-time graph that any backbone can take: the identity where it begins, if it is a residual.

    Args:
        channels: C.
        height: H of the maps; others are taken too, with the grid laid over them.
        width: W of the maps.
        node_dim: D. Where it is not C, linear layers project in and back.
        num_rounds: Rounds of time and space.
        attention: `dot`: products of queries and keys. `gat`: a sum of a term of each node.
        num_heads: Heads of `dot`.
        layer_norm: Whether nodes, messages and updates are normalised.
        batch_norm: Whether the nodes' channels are normalised over the batch first.
        scalewise: Whether each scale has an update of its own.
        positions: Whether messages see where sender and receiver are.
        residual: Whether the result is added to what came in, through a norm with a gain of 0 at the beginning.
        stages: Which stages there are: see `SpaceTimeGraph`.

    Raises:
        PipelineError: for several heads of `gat`, or heads that do not divide D.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        node_dim: int,
        num_rounds: int = 3,
        attention: Literal["dot", "gat"] = "dot",
        num_heads: int = 1,
        layer_norm: bool = True,
        batch_norm: bool = False,
        scalewise: bool = True,
        positions: bool = False,
        residual: bool = True,
        stages: Stages = "all",
    ) -> None:
        super().__init__()
        if num_heads > 1 and attention == "gat":
            raise PipelineError(f"attention gat has one head, not {num_heads}: write num_heads: 1, or attention: dot")
        if node_dim % num_heads:
            raise PipelineError(f"num_heads: {num_heads} do not divide node_dim: {node_dim}")
        self.channels, self.node_dim = channels, node_dim
        self.size = (height, width)
        projects = channels != node_dim
        self.project = nn.Linear(channels, node_dim) if projects else None
        self.batch_norm = nn.BatchNorm1d(node_dim, BATCH_NORM_EPS, BATCH_NORM_MOMENTUM) if batch_norm else None
        self.before = JointNorm(node_dim, 3, NORM_EPS) if layer_norm else None
        edges = grid_edges(SCALES)
        attentions: list[nn.Module] = (
            [AdditiveAttention(node_dim, edges)]
            if attention == "gat"
            else [DotAttention(node_dim, node_dim // num_heads, edges) for _ in range(num_heads)]
        )
        messages = PairMessages(
            node_dim,
            attentions,
            grid_positions(SCALES) if positions else None,
            JointNorm(node_dim, 3, NORM_EPS) if layer_norm else None,
            JointNorm(node_dim, 2, NORM_EPS) if layer_norm and attention == "gat" else None,
        )
        sizes = grid_sizes(SCALES)
        update = PerceptronUpdate(
            node_dim,
            sizes if scalewise else [sum(sizes)],
            JointNorm(node_dim, 2, NORM_EPS) if layer_norm else None,
        )
        self.graph = SpaceTimeGraph(
            Recurrence(nn.LSTM(node_dim, node_dim)),
            Recurrence(nn.LSTM(node_dim, node_dim)),
            messages,
            update,
            num_rounds,
            stages,
        )
        self.project_back = nn.Linear(node_dim, channels) if projects else None
        self.residual = ResidualNorm(channels) if residual else None
        self.register_buffer("kernels", area_kernels(height, width, SCALES), persistent=False)
        self.register_buffer("covers", area_covers(height, width, SCALES), persistent=False)

    def nodes(self, x: Tensor) -> Tensor:
        """Give the nodes after the last recurrence, projected back, `[B, T, N, C]`.

        Args:
            x: Maps, `[B, T, C, H, W]`.
        """
        nodes_BTND = pool(x, self._of_size("kernels", x))
        if self.project is not None:
            nodes_BTND = self.project(nodes_BTND)
        if self.batch_norm is not None:
            nodes_BTND = self.batch_norm(nodes_BTND.flatten(0, 2)).view(nodes_BTND.shape)
        if self.before is not None:
            nodes_BTND = self.before(nodes_BTND)
        nodes_BTND = self.graph(nodes_BTND)
        return nodes_BTND if self.project_back is None else self.project_back(nodes_BTND)  # type: ignore[no-any-return]

    def vector(self, x: Tensor) -> Tensor:
        """Give one vector a clip, `[B, C]`: nodes summed, and averaged over time; added to the mean of `x` if residual.

        Args:
            x: Maps, `[B, T, C, H, W]`.
        """
        vector_BC = self.nodes(x).mean(1).sum(1)
        return vector_BC if self.residual is None else self.residual(x.mean((1, 3, 4)), vector_BC)

    def frames(self, x: Tensor) -> Tensor:
        """Give vectors for the head of a network, `[B, T, C]`: the mean of each map of `x` with `vector` added to it.

        Their mean over time is `vector`. Without a residual the vector stands alone, `[B, 1, C]`.

        Args:
            x: Maps, `[B, T, C, H, W]`.
        """
        vector_B1C = self.nodes(x).mean(1).sum(1)[:, None]
        return vector_B1C if self.residual is None else self.residual(x.mean((3, 4)), vector_B1C)

    def boxes(self, x: Tensor) -> Tensor:
        """Give the region of each node as shares of the frame (left, top, right, bottom), `[B, T, N, 4]`.

        Args:
            x: Maps, `[B, T, C, H, W]`; the regions of all are the same.
        """
        return grid_boxes(SCALES).to(x.device).expand(*x.shape[:2], -1, -1)

    def map(self, x: Tensor) -> Tensor:
        """Give maps, `[B, T, C, H, W]`: the nodes where their cells are, scales summed; added to `x` if residual.

        Args:
            x: Maps, `[B, T, C, H, W]`.
        """
        map_BTCHW = spread(self.nodes(x), self._of_size("covers", x))
        if self.residual is None:
            return map_BTCHW
        added = self.residual(x.movedim(2, -1), map_BTCHW.movedim(2, -1)).movedim(-1, 2)
        return added.contiguous()  # type: ignore[no-any-return]  # as it came, so that what follows computes the same

    def forward(self, x: Tensor) -> Tensor:
        """Give maps: see `map`."""
        return self.map(x)

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Take over the tensors of the plain form of the authors' network.

        Args:
            state: Its state dict.

        Raises:
            PipelineError: if a tensor is missing, unknown or of another shape.
        """
        load_renamed(self, self._joined(state), (*RENAMES, *self._renames()), "this RSTG module")

    def _of_size(self, name: str, x: Tensor) -> Tensor:
        """Kernels or covers for maps of this size."""
        own: Tensor = getattr(self, name)
        height, width = x.shape[-2:]
        if (height, width) == self.size:
            return own
        made = area_kernels if name == "kernels" else area_covers
        return made(height, width, SCALES).to(own)

    def _renames(self) -> list[Rename]:
        """Names that depend on the number of heads and of updates."""
        heads = len(self.graph.messages.attentions) if isinstance(self.graph.messages, PairMessages) else 0
        many = r"heads.\1." if heads > 1 else ""
        updates = self.graph.update.groups if isinstance(self.graph.update, PerceptronUpdate) else []
        names = [f"scale{number + 1}" for number in range(len(updates))] if len(updates) > 1 else ["all"]
        renames = [
            (r"graph\.messages\.attentions\.(\d+)\.query\.(.+)", rf"{many}att_q.\2"),
            (r"graph\.messages\.attentions\.(\d+)\.key\.(.+)", rf"{many}att_k.\2"),
            (r"graph\.messages\.attentions\.(\d+)\.receiver\.(.+)", r"att_1.\2"),
            (r"graph\.messages\.attentions\.(\d+)\.sender\.(.+)", r"att_2.\2"),
            (r"graph\.messages\.heads\.(\d+)\.(.+)", r"heads.\1.message.\2"),
        ]
        for number, name in enumerate(names):
            renames.append((rf"graph\.update\.first\.{number}\.(.+)", rf"update.{name}.1.\1"))
            renames.append((rf"graph\.update\.second\.{number}\.(.+)", rf"update.{name}.2.\1"))
        return renames

    def _joined(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state with the biases of several heads side by side, as they stand here."""
        messages = self.graph.messages
        heads = len(messages.attentions) if isinstance(messages, PairMessages) else 1
        biases = [f"heads.{number}.att.bias" for number in range(heads)]
        if heads == 1 or any(name not in state for name in biases):
            return dict(state)
        others = {name: tensor for name, tensor in state.items() if name not in biases}
        return {**others, "att.bias": torch.cat([state[name] for name in biases])}

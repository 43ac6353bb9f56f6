"""The graph over regions that the video itself proposes (DyReg-GNN; Duta, Nicolicioiu and Leordeanu, NeurIPS 2021).

A generator looks at each frame's map and moves and scales the regions of N nodes; a tent kernel around each region
gathers its features; the nodes exchange messages in space and time; the same kernels put them back.

Shapes: B clips, T time steps, N nodes (9), C channels of the backbone, D width of a node, O width of an offset's
state, H height and W width of a map.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.recognition.messages import DotAttention, SumMessages
from pipeline.recognition.norms import JointNorm, MapNorm
from pipeline.recognition.published import Rename, load_renamed
from pipeline.recognition.region_pool import pool, spread
from pipeline.recognition.region_proposals import (
    NORM_EPS,
    Anchors,
    FixedRegions,
    GivenRegions,
    PredictedRegions,
    RegionKind,
    Regions,
    SemanticRegions,
    of_size,
)
from pipeline.recognition.space_time_graph import Recurrence, ResidualUpdate, SpaceTimeGraph

RENAMES: tuple[Rename, ...] = (
    (r"project\.(weight|bias)", r"dynamic_graph.project_i3d_linear.\1"),
    (r"project_norm\.weight", r"dynamic_graph.norm_dict.dynamic_graph_projection.scale"),
    (r"project_norm\.bias", r"dynamic_graph.norm_dict.dynamic_graph_projection.bias"),
    (r"project_back\.(weight|bias)", r"dynamic_graph.project_back_i3d_linear.\1"),
    (r"proposals\.generator\.reduce\.(.+)", r"dynamic_graph.fishnet.conv1.\1"),
    (r"proposals\.generator\.down\.(\d)\.(.+)", r"dynamic_graph.fishnet.tail_conv.\1.\2"),
    (r"proposals\.generator\.up\.(.+)", r"dynamic_graph.fishnet.body_trans_conv.0.\1"),
    (r"proposals\.generator\.last\.(.+)", r"dynamic_graph.fishnet.head_conv.0.\1"),
    (r"proposals\.generator\.reduce_norm\.weight", r"dynamic_graph.fishnet.norm_dict.norm1.scale"),
    (r"proposals\.generator\.reduce_norm\.bias", r"dynamic_graph.fishnet.norm_dict.norm1.bias"),
    (r"proposals\.generator\.down_norm\.(\d)\.weight", r"dynamic_graph.fishnet.norm_dict.tail_norm_\1.scale"),
    (r"proposals\.generator\.down_norm\.(\d)\.bias", r"dynamic_graph.fishnet.norm_dict.tail_norm_\1.bias"),
    (r"proposals\.generator\.up_norm\.weight", r"dynamic_graph.fishnet.norm_dict.body_trans_norm_0.scale"),
    (r"proposals\.generator\.up_norm\.bias", r"dynamic_graph.fishnet.norm_dict.body_trans_norm_0.bias"),
    (r"proposals\.generator\.last_norm\.weight", r"dynamic_graph.fishnet.norm_dict.head_norm_0.scale"),
    (r"proposals\.generator\.last_norm\.bias", r"dynamic_graph.fishnet.norm_dict.head_norm_0.bias"),
    (r"proposals\.generator\.nodes\.(.+)", r"dynamic_graph.global_conv.0.\1"),
    (r"proposals\.generator\.mask\.(.+)", r"dynamic_graph.glore.mask_conv.\1"),
    (r"proposals\.generator\.position\.(.+)", r"dynamic_graph.glore.sin_pos_emb_proj.\1"),
    (r"proposals\.generator\.states\.(.+)", r"dynamic_graph.glore.update.\1"),
    (r"proposals\.offset_before\.weight", r"dynamic_graph.norm_dict.offset_ln_feats_coords.scale"),
    (r"proposals\.offset_before\.bias", r"dynamic_graph.norm_dict.offset_ln_feats_coords.bias"),
    (r"proposals\.offset_time\.cell\.(.+)", r"dynamic_graph.offset_lstm.\1"),
    (r"proposals\.offset_after\.weight", r"dynamic_graph.norm_dict.offset_ln_lstm.scale"),
    (r"proposals\.offset_after\.bias", r"dynamic_graph.norm_dict.offset_ln_lstm.bias"),
    (r"proposals\.offset\.(.+)", r"dynamic_graph.offset_pred.\1"),
    (r"proposals\.offset_scale", r"dynamic_graph.offset_alpha"),
    (r"position\.(.+)", r"dynamic_graph.kernel_projection1.\1"),
    (r"before\.weight", r"dynamic_graph.rstg.norm_dict.before_graph_norm.scale"),
    (r"before\.bias", r"dynamic_graph.rstg.norm_dict.before_graph_norm.bias"),
    (r"graph\.internal\.cell\.(.+)", r"dynamic_graph.rstg.internal_lstm.\1"),
    (r"graph\.external\.cell\.(.+)", r"dynamic_graph.rstg.external_lstm.\1"),
    (r"graph\.messages\.first\.(.+)", r"dynamic_graph.rstg.send_mlp.0.\1"),
    (r"graph\.messages\.norm\.weight", r"dynamic_graph.rstg.norm_dict.send_message_norm.scale"),
    (r"graph\.messages\.norm\.bias", r"dynamic_graph.rstg.norm_dict.send_message_norm.bias"),
    (r"graph\.messages\.attention\.query\.(.+)", r"dynamic_graph.rstg.att_q.\1"),
    (r"graph\.messages\.attention\.key\.(.+)", r"dynamic_graph.rstg.att_k.\1"),
    (r"graph\.messages\.bias", r"dynamic_graph.rstg.att_bias"),
    (r"graph\.update\.norm\.weight", r"dynamic_graph.rstg.norm_dict.update_norm.scale"),
    (r"graph\.update\.norm\.bias", r"dynamic_graph.rstg.norm_dict.update_norm.bias"),
    (r"residual_norm\.weight", r"norm_dict.residual_norm.scale"),
    (r"residual_norm\.bias", r"norm_dict.residual_norm.bias"),
)
# Declared in the authors' Lite generator and never used.
UNUSED = r"dynamic_graph\.glore\.norm_dict\.offset_location_emb\..*"


class DyReg(nn.Module):
    """A graph over nine regions that follow the video: the identity where it begins.

    Args:
        channels: C.
        height: H in training; larger maps are taken too, for testing at full resolution.
        width: W in training.
        node_dim: D. Where it is not C, convolutions of one place project in and back.
        offset_dim: O.
        anchors: Where regions begin: all in the `centre`, or on a `grid`.
        generator: `big`, or `lite`, which masks the map instead of reading it by convolutions.
        num_rounds: Rounds of time and space.
        stages: Which stages there are: see `SpaceTimeGraph`.
        residual: Whether the branch is normed and added to what came in; otherwise it takes its place, without a norm.
        regions: Where regions come from. `dynamic`: they are predicted. `position`: their size is not, and stays as it
            begins. `static`: moved and scaled by learned numbers, the same for all videos. `fixed`: they stay at their
            anchors. `semantic`: by content alone, wherever it is. `boxes`: they are given to `forward`. The first two
            alone have a generator.

    Raises:
        PipelineError: if the big generator cannot be laid out over maps of this size.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        node_dim: int,
        offset_dim: int = 128,
        anchors: Anchors = "centre",
        generator: Literal["big", "lite"] = "big",
        num_rounds: int = 3,
        stages: Literal["all", "one", "space", "time"] = "all",
        residual: bool = True,
        regions: RegionKind = "dynamic",
    ) -> None:
        super().__init__()
        if anchors not in ("centre", "grid"):
            raise PipelineError(f"anchors: {anchors!r} is none of centre, grid")
        self.size = (height, width)
        projects = channels != node_dim
        self.project = nn.Conv2d(channels, node_dim, 1) if projects else None
        self.project_norm = MapNorm(node_dim) if projects else None
        self.proposals: nn.Module
        if regions in ("dynamic", "position"):
            self.proposals = PredictedRegions(
                node_dim, height, width, offset_dim, anchors, generator, regions == "dynamic"
            )
        elif regions == "semantic":
            self.proposals = SemanticRegions(node_dim)
        elif regions == "boxes":
            self.proposals = GivenRegions()
        else:
            self.proposals = FixedRegions(anchors, regions == "static")
        self.position = nn.Linear(height * width, node_dim)
        self.before = JointNorm(node_dim, 2, NORM_EPS)
        self.graph = SpaceTimeGraph(
            Recurrence(nn.GRU(node_dim, node_dim)),
            Recurrence(nn.GRU(node_dim, node_dim)),
            SumMessages(node_dim, DotAttention(node_dim, node_dim), JointNorm(node_dim, 3, NORM_EPS)),
            ResidualUpdate(JointNorm(node_dim, 2, NORM_EPS)),
            num_rounds,
            stages,
        )
        self.project_back = nn.Conv2d(node_dim, channels, 1) if projects else None
        self.residual_norm = MapNorm(channels, gain=0.0) if residual else None

    def regions(self, x: Tensor, boxes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Propose the regions of each frame.

        Args:
            x: Maps, `[B, T, C, H, W]`.
            boxes: For `regions: boxes`: shares of the frame (left, top, right, bottom), `[B, T, N, 4]`.

        Returns:
            Their centres (y, x) in places of the map, and half their heights and widths, `[B, T, N, 2]` each.
        """
        regions = self.proposals(self._projected(x), boxes)
        return regions.centre, regions.half

    def branch(self, x: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Give the maps that are normed and added to `x`, `[B, T, C, H, W]`."""
        projected = self._projected(x)
        return self._branch(projected, self.proposals(projected, boxes).kernels)

    def forward(self, x: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Give `x` with the normed branch added, or the branch alone, `[B, T, C, H, W]`."""
        return self._joined(x, self.branch(x, boxes))

    def with_regions(self, x: Tensor, boxes: Tensor | None = None) -> tuple[Tensor, Regions]:
        """Give what `forward` gives, and the regions that it was computed with."""
        projected = self._projected(x)
        regions = self.proposals(projected, boxes)
        return self._joined(x, self._branch(projected, regions.kernels)), regions

    def boxes(self, x: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Give the region of each node as shares of the frame (left, top, right, bottom), `[B, T, N, 4]`.

        A region may reach beyond the frame: cut at it, its centre would be another.

        Args:
            x: Maps, `[B, T, C, H, W]`.
            boxes: For `regions: boxes`: see `regions`.
        """
        centre, half = self.regions(x, boxes)
        size = torch.tensor(x.shape[-2:], device=x.device)
        ends = torch.cat([(centre - half) / size, (centre + half) / size], -1)
        return ends[..., [1, 0, 3, 2]]

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Take over the tensors of a module of a published checkpoint.

        Args:
            state: The module's tensors, without the prefix of its place in a backbone.

        Raises:
            PipelineError: if a tensor is missing, unknown or of another shape.
        """
        load_renamed(self, state, RENAMES, "this DyReg module", UNUSED)

    def _projected(self, x: Tensor) -> Tensor:
        if self.project is None or self.project_norm is None:
            return x
        return self.project_norm(_framewise(self.project, x))  # type: ignore[no-any-return]

    def _branch(self, projected: Tensor, kernels: Tensor) -> Tensor:
        positions_BTND = self.position(of_size(kernels, self.size).flatten(-2).to(projected.dtype))
        nodes_BTND = self.graph(self.before(pool(projected, kernels) + positions_BTND))
        branch = spread(nodes_BTND, kernels)
        return branch if self.project_back is None else _framewise(self.project_back, branch)

    def _joined(self, x: Tensor, branch: Tensor) -> Tensor:
        return branch if self.residual_norm is None else x + self.residual_norm(branch)


def _framewise(layer: nn.Module, maps: Tensor) -> Tensor:
    """Apply a layer of images to each frame of `[B, T, C, H, W]`."""
    frames: Tensor = layer(maps.flatten(0, 1))
    return frames.view(*maps.shape[:2], *frames.shape[1:])

"""What is trained of CAST: adapters, exchange, last norms and heads, over a frozen body that is given to it.

Everything else of a network is its body, so that a file holds this alone, and many of these share one body.

Shapes: B clips, T time steps, L tokens of a frame, N tokens of a clip, D width, K classes, J branches of a block.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import PipelineError
from pipeline.models.clip_random import chances
from pipeline.recognition.cast_blocks import BRANCHES, Adapter, CastBlock, linear
from pipeline.recognition.cast_body import CastBody, Tokens
from pipeline.recognition.cast_plan import OF_HEAD, STREAMS, CastOptions, Stream, needs_of_blocks
from pipeline.recognition.towers.spatial import NORM_EPS as SPATIAL_EPS
from pipeline.recognition.towers.temporal import NORM_EPS as TEMPORAL_EPS

EPS = {"spatial": SPATIAL_EPS, "temporal": TEMPORAL_EPS}
Vectors = dict[Stream, Tensor]  # `[B, D]` each


class CastPart(nn.Module):
    """The trained part of a network.

    How `fusion` makes logits of the vectors of both streams. `added`: each goes through an adapter, and each head sees
    the sum of what comes out; `concatenated`: it sees the two side by side; `ensemble`: each head has a layer for each
    stream, and the mean of their probabilities counts; `spatial`, `temporal`: each head sees one stream; `by_head`: the
    noun is told by the spatial and the verb by the temporal stream (EPIC-Kitchens).

    Its tensors are below `blocks.` with the number of the block from 0, `norms.`, `last.` and `heads.`.

    Args:
        body: What it is trained over; its sizes count.
        heads: Number of classes of each head.
        options: What there is in the network.

    Raises:
        PipelineError: if the options and the body, or the heads, do not fit.
    """

    def __init__(self, body: CastBody, heads: Mapping[str, int], options: CastOptions) -> None:
        super().__init__()
        check_options(body, heads, options)
        self.options = options
        width, rows_and_columns = body.width, body.grid
        sizes = (width, body.heads, body.steps, rows_and_columns[0] * rows_and_columns[1])
        self.needs = needs_of_blocks(body.depth, options)
        self.num_before = options.first_block - 1
        self.depth = body.depth
        self.blocks = nn.ModuleDict(
            {str(n): CastBlock(self.needs[n], *sizes, options) for n in range(self.num_before, body.depth)}
        )
        fused = options.fused
        self.norms = nn.ModuleDict({stream: nn.LayerNorm(width, eps=EPS[stream]) for stream in fused})
        adapted = fused if options.fusion in ("added", "concatenated") else ()
        self.last = nn.ModuleDict({stream: Adapter(width) for stream in adapted})
        self.heads = nn.ModuleDict({name: self._head(width, classes) for name, classes in heads.items()})

    def _head(self, width: int, classes: int) -> nn.Module:
        if self.options.fusion == "ensemble":
            return nn.ModuleDict({stream: linear(width, classes) for stream in STREAMS})
        return linear(width * (2 if self.options.fusion == "concatenated" else 1), classes)

    def front(self, body: CastBody, x_B3FHW: Tensor) -> Tokens:
        """The tokens before the first block with adapters and exchange, of the streams that are needed."""
        return body.front(x_B3FHW, self.needs[self.num_before].attend, self.num_before)

    def tokens(self, body: CastBody, front: Tokens, seeds_B: Tensor | None = None) -> Tokens:
        """The tokens after the last block, of the streams that the logits depend on.

        Args:
            body: The frozen experts.
            front: What `front` gives.
            seeds_B: A number of each clip, from which it is drawn which branches a training step leaves out; without
                them none is.
        """
        factors_KBJ = self._factors(seeds_B)
        tokens = front
        for place, block in enumerate(self.blocks.values()):
            factors_BJ = None if factors_KBJ is None else factors_KBJ[place]
            tokens = block(body.blocks(self.num_before + place), tokens, factors_BJ)
        return tokens

    def vectors(self, body: CastBody, tokens: Tokens) -> Vectors:
        """One vector a clip of each of these streams, normed."""
        found: Vectors = {}
        if "spatial" in tokens:
            by_clip = tokens["spatial"].reshape(-1, body.steps, *tokens["spatial"].shape[1:])
            found["spatial"] = body.spatial.pool(by_clip, self.norms["spatial"])
        if "temporal" in tokens:
            found["temporal"] = body.temporal.pool(tokens["temporal"], self.norms["temporal"])
        return found

    def fused(self, vectors: Vectors) -> Tensor:
        """What the heads see, `[B, D]`; `[B, 2 D]` where they see both streams side by side, or each sees one."""
        used = [self.last[one](vectors[one]) if one in self.last else vectors[one] for one in self.options.fused]
        return torch.stack(used).sum(0) if self.options.fusion == "added" else torch.cat(used, 1)

    def logits(self, vectors: Vectors) -> dict[str, Tensor]:
        """The logits of each head `[B, K]`; of an ensemble, logarithms of the mean probabilities."""
        if self.options.fusion == "ensemble":
            of_streams = {
                name: [head[one](vectors[one]) for one in STREAMS]  # type: ignore[index]
                for name, head in self.heads.items()
            }
            return {name: log_mean_of_softmaxes(logits) for name, logits in of_streams.items()}
        if self.options.fusion == "by_head":
            return {name: head(vectors[OF_HEAD[name]]) for name, head in self.heads.items()}
        fused_BD = self.fused(vectors)
        return {name: head(fused_BD) for name, head in self.heads.items()}

    def _factors(self, seeds_B: Tensor | None) -> Tensor | None:
        """What the branches of each block are multiplied with, `[blocks, B, J]`; None if none is left out.

        The share that is left out rises in equal steps from 0 in the experts' first block.
        """
        if not self.training or seeds_B is None or self.options.drop_path == 0:
            return None
        rates_K = torch.linspace(0, self.options.drop_path, self.depth, device=seeds_B.device)[self.num_before :]
        rates_K11 = rates_K[:, None, None]
        drawn_KBJ = chances(seeds_B, len(self.blocks), BRANCHES).transpose(0, 1)
        return (drawn_KBJ >= rates_K11) / (1 - rates_K11)


def log_mean_of_softmaxes(logits: Sequence[Tensor]) -> Tensor:
    """The logarithm of the mean of the probabilities that several logits `[B, K]` stand for."""
    mean: Tensor = torch.stack([F.log_softmax(one.float(), -1) for one in logits]).logsumexp(0)
    return mean - math.log(len(logits))


def check_options(body: CastBody, heads: Mapping[str, int], options: CastOptions) -> None:
    """Raise PipelineError if options fit neither the body nor the heads."""
    if options.first_block > body.depth:
        raise PipelineError(f"first_block: {options.first_block} is beyond the {body.depth} blocks of the experts")
    inner = round(body.width * options.ratio)
    if options.exchange != "none" and (inner < body.heads or inner % body.heads):
        raise PipelineError(
            f"ratio: {options.ratio:g} of the experts' width {body.width} makes an exchange of width {inner}, which "
            f"{body.heads} heads cannot share: write a ratio whose width is a multiple of {body.heads}"
        )
    if options.fusion == "by_head" and set(heads) != set(OF_HEAD):
        raise PipelineError(
            f"fusion: by_head tells the verb by the temporal and the noun by the spatial expert, and this data set has "
            f"{', '.join(heads)}: write another fusion"
        )

"""What CAST adds to a block of its two experts: adapters, and the exchange between the streams (B-CAST).

CAST (Lee, Lee and Choi, NeurIPS 2023, "CAST: Cross-Attention in Space and Time for Video Action Recognition",
section 3). The factor of the adapter beside the feed-forward part is that of the authors' code, not of the paper.

Shapes: B clips, T time steps, P places of a frame, L tokens of a frame (the class token, then its places), N tokens of
a clip (T times P), D width of the experts, E width of the exchange.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.recognition.cast_plan import OTHER, STREAMS, BlockNeeds, CastOptions, Stream, Window
from pipeline.recognition.towers.spatial import attend

DEVIATION = 0.02  # of the weights of linear layers at the beginning
ADAPTER_RATIO = 0.25
BESIDE = 0.5  # factor of the adapter beside the feed-forward part
NORM_EPS = 1e-6
SECOND_NORM: dict[Stream, str] = {"spatial": "ln_2", "temporal": "norm2"}  # of an expert's block, before its `mlp`
BRANCHES = 4  # of a block, that are left out clip by clip: listening and feeding of each stream


def linear(inputs: int, outputs: int, is_zero: bool = False) -> nn.Linear:
    """A linear layer that begins with small weights, or with zeros, and without bias."""
    layer = nn.Linear(inputs, outputs)
    if is_zero:
        nn.init.zeros_(layer.weight)
    else:
        nn.init.trunc_normal_(layer.weight, std=DEVIATION)
    nn.init.zeros_(layer.bias)
    return layer


class Adapter(nn.Module):
    """Two linear layers with a GELU between them, of which the second begins with zeros.

    Args:
        width: D; the layer between has a quarter of it.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(1, int(width * ADAPTER_RATIO))
        self.down = linear(width, inner)
        self.up = linear(inner, width, is_zero=True)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each token or vector `[.., D]` by itself."""
        out: Tensor = self.up(F.gelu(self.down(x)))
        return out


class Places(nn.Module):
    """Learned tables that tell a stream's tokens of a window apart: of times, of places, or of both, which are added.

    No weight decay suits them.

    Args:
        window: What the window reaches over.
        steps: T.
        places: P.
        width: E.
        deviation: Of the numbers at the beginning.
    """

    def __init__(self, window: Window, steps: int, places: int, width: int, deviation: float) -> None:
        super().__init__()
        self.time = nn.Parameter(deviation * torch.randn(steps, width)) if window != "space" else None
        self.space = nn.Parameter(deviation * torch.randn(places, width)) if window != "time" else None

    def forward(self, x_BTPE: Tensor) -> Tensor:
        """Add the tables to tokens."""
        if self.time is not None:
            x_BTPE = x_BTPE + self.time[:, None]
        return x_BTPE if self.space is None else x_BTPE + self.space


class WindowAttention(nn.Module):
    """One direction of the exchange: tokens of one stream attend to those of the other one in a window.

    Args:
        width: E.
        heads: Number of heads.
        window: `time`: tokens of the same place. `space`: of the same time. `space_time`: all.
        steps: T.
        places: P.
        positions: Whether there are tables of places.
    """

    def __init__(self, width: int, heads: int, window: Window, steps: int, places: int, positions: bool) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.query = linear(width, width)
        self.key_value = linear(width, 2 * width)
        self.project = linear(width, width)
        deviation = (width // heads) ** -0.5
        tables = (window, steps, places, width, deviation)
        self.own_places = Places(*tables) if positions else None
        self.other_places = Places(*tables) if positions else None

    def forward(self, own_BTPE: Tensor, other_BTPE: Tensor) -> Tensor:
        """Give what each token of one stream hears of the other one, `[B, T, P, E]`."""
        if self.own_places is not None and self.other_places is not None:
            own_BTPE, other_BTPE = self.own_places(own_BTPE), self.other_places(other_BTPE)
        asked = self._windows(self.query(own_BTPE))
        key, value = self._windows(self.key_value(other_BTPE)).chunk(2, -1)
        heard = attend(asked, key, value, self.heads)
        out: Tensor = self.project(self._back(heard, own_BTPE.shape))
        return out

    def _windows(self, x_BTPE: Tensor) -> Tensor:
        """The tokens of each window in a row of its own."""
        if self.window == "time":
            return x_BTPE.transpose(1, 2).flatten(0, 1)
        return x_BTPE.flatten(0, 1) if self.window == "space" else x_BTPE.flatten(1, 2)

    def _back(self, x: Tensor, shape: torch.Size) -> Tensor:
        if self.window == "time":
            return x.view(shape[0], shape[2], shape[1], shape[3]).transpose(1, 2)
        return x.view(shape)


class StreamExchange(nn.Module):
    """Bottleneck cross-attention (B-CAST): what each stream hears of the other one, both before either changes.

    A stream has one narrowing layer and norm, for what it asks and for what it tells. The class tokens attend to
    nothing, and go through the bottleneck all the same.

    Args:
        listen: The streams that listen.
        width: D.
        heads: Number of heads.
        steps: T.
        places: P.
        options: `ratio`, windows and `positions` are used.
    """

    def __init__(
        self, listen: tuple[Stream, ...], width: int, heads: int, steps: int, places: int, options: CastOptions
    ) -> None:
        super().__init__()
        self.listen = listen
        self.steps = steps
        inner = round(width * options.ratio)
        windows: dict[Stream, Window] = {"spatial": options.t2s, "temporal": options.s2t}
        self.down = nn.ModuleDict({stream: linear(width, inner) for stream in STREAMS})
        self.norm = nn.ModuleDict({stream: nn.LayerNorm(inner, eps=NORM_EPS) for stream in STREAMS})
        self.attention = nn.ModuleDict(
            {one: WindowAttention(inner, heads, windows[one], steps, places, options.positions) for one in listen}
        )
        self.up = nn.ModuleDict({stream: linear(inner, width, is_zero=True) for stream in listen})

    def forward(self, tokens: Mapping[Stream, Tensor]) -> dict[Stream, Tensor]:
        """Give what is added to the tokens of each listening stream, in their shapes.

        Args:
            tokens: Spatial ones `[B * T, L, D]`, and temporal ones `[B, N, D]`.
        """
        narrow = {one: self.norm[one](self.down[one](tokens[one])) for one in STREAMS}
        class_tokens = narrow["spatial"][:, :1]
        places, width = narrow["spatial"].shape[1] - 1, narrow["spatial"].shape[2]
        on_grid = {
            "spatial": narrow["spatial"][:, 1:].reshape(-1, self.steps, places, width),
            "temporal": narrow["temporal"].reshape(-1, self.steps, places, width),
        }
        heard: dict[Stream, Tensor] = {}
        for one in self.listen:
            x_BTPE = self.attention[one](on_grid[one], on_grid[OTHER[one]])
            spatial = one == "spatial"
            x = torch.cat([class_tokens, x_BTPE.flatten(0, 1)], 1) if spatial else x_BTPE.flatten(1, 2)
            heard[one] = self.up[one](F.gelu(x))
        return heard


class CastBlock(nn.Module):
    """What is trained in one block of both experts.

    Args:
        needs: Which parts of the block are needed.
        width: D.
        heads: Number of heads of the exchange.
        steps: T.
        places: P.
        options: Of the network.
    """

    def __init__(
        self, needs: BlockNeeds, width: int, heads: int, steps: int, places: int, options: CastOptions
    ) -> None:
        super().__init__()
        self.needs = needs
        adapted = (needs.attend, needs.feed) if options.adapters else ((), ())
        self.after_attention = nn.ModuleDict({stream: Adapter(width) for stream in adapted[0]})
        self.beside_mlp = nn.ModuleDict({stream: Adapter(width) for stream in adapted[1]})
        exchange = StreamExchange(needs.listen, width, heads, steps, places, options) if needs.listen else None
        self.exchange = exchange

    def forward(
        self, blocks: Mapping[Stream, nn.Module], tokens: Mapping[Stream, Tensor], factors_BJ: Tensor | None
    ) -> dict[Stream, Tensor]:
        """Give the tokens after the block of the streams that are needed further.

        Args:
            blocks: The frozen block of each expert.
            tokens: Spatial ones `[B * T, L, D]`, and temporal ones `[B, N, D]`.
            factors_BJ: Of each clip, what the `BRANCHES` are multiplied with; None where none is left out.
        """
        factors = [None] * BRANCHES if factors_BJ is None else factors_BJ.unbind(1)
        listening, feeding = dict(zip(STREAMS, factors[:2], strict=True)), dict(zip(STREAMS, factors[2:], strict=True))
        found: dict[Stream, Tensor] = {}
        for one in self.needs.attend:
            said = blocks[one].attend(tokens[one])  # type: ignore[operator]
            found[one] = tokens[one] + said
            if one in self.after_attention:
                found[one] = found[one] + self.after_attention[one](said)
        heard = {} if self.exchange is None else self.exchange(found)
        for one, branch in heard.items():
            found[one] = found[one] + scaled(branch, listening[one])
        return {one: self._fed(one, blocks[one], found[one], feeding[one]) for one in self.needs.feed}

    def _fed(self, stream: Stream, block: nn.Module, x: Tensor, factors_B: Tensor | None) -> Tensor:
        if stream not in self.beside_mlp:
            return x + block.feed(x)  # type: ignore[no-any-return, operator]
        normed = block.get_submodule(SECOND_NORM[stream])(x)
        fed: Tensor = block.get_submodule("mlp")(normed)
        return x + fed + scaled(BESIDE * self.beside_mlp[stream](normed), factors_B)


def scaled(branch: Tensor, factors_B: Tensor | None) -> Tensor:
    """Multiply a branch `[B * anything, ..]`, clip by clip, with a factor of each clip."""
    if factors_B is None:
        return branch
    factors = factors_B.repeat_interleave(len(branch) // len(factors_B))
    return branch * factors.view(-1, *[1] * (branch.ndim - 1)).to(branch.dtype)

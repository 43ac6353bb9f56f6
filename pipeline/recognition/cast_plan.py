"""What there is in a network of CAST: its options, and which part of each block its vectors depend on.

A stream that nothing needs has no modules and is not computed: with `fusion: temporal` and `exchange: none` the spatial
expert does nothing, and with `exchange: both` its last block ends where the temporal expert has listened to it.
"""

from dataclasses import dataclass
from typing import Literal

Stream = Literal["spatial", "temporal"]
Window = Literal["time", "space", "space_time"]
Exchange = Literal["both", "t2s", "s2t", "none"]
Fusion = Literal["added", "concatenated", "ensemble", "spatial", "temporal", "by_head"]

STREAMS: tuple[Stream, Stream] = ("spatial", "temporal")
OTHER: dict[Stream, Stream] = {"spatial": "temporal", "temporal": "spatial"}
# The streams that listen to the other one: `t2s` is from the temporal to the spatial one.
LISTENING: dict[Exchange, tuple[Stream, ...]] = {
    "both": STREAMS,
    "t2s": ("spatial",),
    "s2t": ("temporal",),
    "none": (),
}
OF_HEAD: dict[str, Stream] = {"verb": "temporal", "noun": "spatial"}  # of `fusion: by_head`


@dataclass(frozen=True)
class CastOptions:
    """What differs between variants of CAST.

    Attributes:
        adapters: Whether blocks have adapters after the attention and beside the feed-forward part.
        exchange: Which streams listen to the other one.
        t2s: To which temporal tokens a spatial one listens: of its place, of its time, or all.
        s2t: To which spatial tokens a temporal one listens.
        positions: Whether the exchange has tables of places.
        ratio: Width of the exchange, as a share of the experts'.
        first_block: Number, from 1, of the first block with adapters and exchange.
        fusion: How the logits come from the vectors of both streams; see `CastPart`.
        drop_path: Share of the clips for which the new branches of the last block are left out in a training step.
    """

    adapters: bool
    exchange: Exchange
    t2s: Window
    s2t: Window
    positions: bool
    ratio: float
    first_block: int
    fusion: Fusion
    drop_path: float

    @property
    def fused(self) -> tuple[Stream, ...]:
        """The streams whose vectors the logits depend on."""
        return (self.fusion,) if self.fusion in ("spatial", "temporal") else STREAMS


@dataclass(frozen=True)
class BlockNeeds:
    """What of a block the vectors depend on.

    Attributes:
        attend: The streams that attend to themselves.
        listen: Those that listen to the other one.
        feed: Those that go through the feed-forward part, and further.
    """

    attend: tuple[Stream, ...]
    listen: tuple[Stream, ...]
    feed: tuple[Stream, ...]


def needs_of_blocks(depth: int, options: CastOptions) -> list[BlockNeeds]:
    """Say what of each block the vectors depend on, found from the last block back to the first.

    Args:
        depth: Number of blocks.
        options: Of the network.
    """
    needs: list[BlockNeeds] = []
    needed = options.fused
    for number in range(depth, 0, -1):
        listening = LISTENING[options.exchange] if number >= options.first_block else ()
        listen = tuple(stream for stream in listening if stream in needed)
        heard = {OTHER[stream] for stream in listen}
        attend = tuple(stream for stream in STREAMS if stream in needed or stream in heard)
        needs.append(BlockNeeds(attend, listen, needed))
        needed = attend
    return needs[::-1]

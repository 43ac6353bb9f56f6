"""Places of a backbone where a graph module may stand.

A backbone calls `through` at each of its places with the maps there. A place that is used has a module that takes and
gives maps; one that is not used costs nothing. The same calls, on tensors without memory, tell which places there are
and how large the maps are.

Shapes: B clips, T time steps, C channels, H height and W width of a map.
"""

from collections.abc import Callable, Iterator, Mapping

from torch import Tensor

FINAL = "final"  # after the last maps
INSIDE = " inside"  # the end of the name of a place within a block

Maps = Callable[[Tensor], Tensor]  # [B, T, C, H, W] to the same shape
Used = Mapping[str, Maps]


class Recorder(Used):
    """Stands for modules at all places, lets maps through, and keeps their shapes.

    Attributes:
        shapes: The shape of the maps of each place, `(B, T, C, H, W)`, in the order of the network.
    """

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}

    def __contains__(self, place: object) -> bool:
        return True

    def __getitem__(self, place: str) -> Maps:
        def keep(x_BTCHW: Tensor) -> Tensor:
            self.shapes[place] = tuple(x_BTCHW.shape)
            return x_BTCHW

        return keep

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def of_frames(used: Used, place: str, x_FCHW: Tensor, steps: int) -> Tensor:
    """Lead the maps of frames `[B * T, C, H, W]` through the module of a place, if one stands there."""
    if place not in used:
        return x_FCHW
    return used[place](in_clips(x_FCHW, steps)).flatten(0, 1)


def in_clips(x_FX: Tensor, steps: int) -> Tensor:
    """What belongs to frames, `[B * T, ..]`, as what belongs to clips, `[B, T, ..]`."""
    return x_FX.view(-1, steps, *x_FX.shape[1:])


def of_clips(used: Used, place: str, x_BCTHW: Tensor) -> Tensor:
    """Lead the maps of clips `[B, C, T, H, W]` through the module of a place, if one stands there."""
    if place not in used:
        return x_BCTHW
    return used[place](x_BCTHW.transpose(1, 2)).transpose(1, 2)


def stage_alias(place: str, blocks: list[int]) -> str:
    """Give the place that RSTG calls `res2` to `res5`: after the last block but one of a stage.

    Args:
        place: A name; others than these are given back as they are.
        blocks: Number of blocks of each stage.
    """
    for number, count in enumerate(blocks):
        if place == f"res{number + 2}":
            return f"layer{number + 1}.{count - 2}"
    return place


def in_words(places: Mapping[str, object]) -> str:
    """List places for a message, the blocks of a stage together."""
    words: dict[str, list[str]] = {}
    for place in places:
        if not place.endswith(INSIDE):
            words.setdefault(place.partition(".")[0], []).append(place)
    return ", ".join(names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}" for names in words.values())

"""A selector and the experts of TSTL over one frozen body.

Shapes: B clips, G groups, K classes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from pipeline.artifact.each_video import Rows
from pipeline.errors import PipelineError
from pipeline.recognition.cast_file import TrainedCast, read_over
from pipeline.recognition.cast_recognizer import CastRecognizer, Front, read_experts
from pipeline.recognition.groups import HEAD
from pipeline.recognition.labels import difference_of_classes

SHARED = ("spatial", "temporal", "frames")  # settings that the parts must have in common


class Router(nn.Module):
    """All parts side by side; the body is in memory once.

    Args:
        selector: Tells the group.
        experts: Tell the class, one for each group.
    """

    def __init__(self, selector: TrainedCast, experts: Sequence[TrainedCast]) -> None:
        super().__init__()
        parts = [selector, *experts]
        self.parts = nn.ModuleList(part.model for part in parts)
        # What no training changes is computed once for all parts that begin after the same blocks.
        self.starts = [(part.settings.first_block, part.settings.exchange, part.settings.fusion) for part in parts]

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Give the logits of the selector, `[B, G]`, and then of each expert in turn, `[B, K]`, by the part's number.

        Args:
            x: Pixels of 0 to 255 of any type, `[B, T, C, H, W]`.
        """
        fronts: dict[tuple[int, str, str], Front] = {}
        found = {}
        for number, (part, start) in enumerate(zip(self.parts, self.starts, strict=True)):
            assert isinstance(part, CastRecognizer)
            if start not in fronts:
                fronts[start] = part.front(x)
            (found[str(number)],) = part.from_front(fronts[start]).values()
        return found


def read_router(
    selector: Path, parts: Sequence[Path], encoders: Sequence[Path]
) -> tuple[Router, TrainedCast, TrainedCast]:
    """Read a selector and the experts over one body.

    Args:
        selector: Model of the selector.
        parts: Models of the experts, in the order of their groups.
        encoders: The files of the spatial and the temporal expert of the body.

    Returns:
        The router in evaluation mode, the selector, and the first expert, which has the classes of all experts.

    Raises:
        PipelineError: if a file cannot be read, is of another body, or the models do not fit each other.
    """
    body = read_experts(*encoders)
    first = read_over(selector, body)
    experts = [read_over(path, body) for path in parts]
    if list(first.heads) != [HEAD]:
        raise PipelineError(f"{selector}: the model tells {', '.join(first.heads)}: a selector tells the {HEAD}")
    if len(first.heads[HEAD]) != len(experts):
        raise PipelineError(
            f"{selector}: the selector tells {len(first.heads[HEAD])} groups, but there are {len(experts)} experts: "
            "name one for each group, in the order of the groups"
        )
    for path, expert in zip(parts, experts, strict=True):
        if found := difference_of_classes(expert.heads, experts[0].heads, str(parts[0])):
            raise PipelineError(f"{path}: {found}: train both again")
        differ = [key for key in SHARED if getattr(expert.settings, key) != getattr(first.settings, key)]
        if differ:
            raise PipelineError(f"{path}: the model has another `{differ[0]}` than {selector}: one body serves all")
        own, other = (one.settings.training.precision for one in (expert, first))
        if own != other:
            raise PipelineError(
                f"{path}: the model was trained with `precision: {own}`, and {selector} with `{other}`: all parts "
                "compute in one: write the same in `training` of both recognizers, and train again"
            )
    return Router(first, experts).eval(), first, experts[0]


def route_rows(logits_VN: np.ndarray, num_groups: int) -> Rows:
    """Arrays of the store `routes` of the logits of all parts side by side, `[V, G + G K]`."""
    selector, experts = np.split(logits_VN, [num_groups], axis=1)
    return {"selector": selector, "experts": experts.reshape(len(logits_VN), num_groups, -1)}

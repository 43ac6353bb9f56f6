"""Teach the regions of a model with several DyReg modules at the beginning of its training.

Trained alone, each module finds its regions; of three that begin together, two do not. So the regions of models with
one module each supervise those of the model with all, in the first part of its training, beside the labels (the
workshop version of Duta et al., 2020, arXiv 2009.08427v1, supplement). The distance is ours:
they do not publish theirs.

Shapes: B clips, T time steps, N nodes.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.recognition.dyreg import DyReg
from pipeline.recognition.recognizer import Recognizer
from pipeline.recognition.region_proposals import Regions


class Teachers:
    """Trained models, each of which teaches the regions of one place.

    Args:
        models: The models, by the place of the module that they teach, in the words of the settings (`layer3.4`).
        student: The model that is taught.

    Raises:
        PipelineError: if teacher and student do not both have a DyReg module with regions of its own at a place.
    """

    def __init__(self, models: Mapping[str, Recognizer], student: Recognizer) -> None:
        self.models: dict[str, Recognizer] = {}
        for name, model in models.items():
            place = _place(name, student)
            for whose, recognizer in (("student", student), ("teacher", model)):
                if place not in recognizer.places or not isinstance(recognizer.graph(place), DyReg):
                    raise PipelineError(
                        f"kick_start: teachers: {name}: the {whose} has no dyreg module there; it has modules at "
                        f"{', '.join(recognizer.places) or 'no place'}"
                    )
            self.models[place] = model.eval().requires_grad_(requires_grad=False)

    def to(self, device: torch.device) -> "Teachers":
        """Move all teachers."""
        for model in self.models.values():
            model.to(device)
        return self

    def regions(self, x: Tensor) -> dict[str, Regions]:
        """Give what each teacher looks at in the same frames, without gradients.

        Args:
            x: Pixels of 0 to 255, `[B, T, C, H, W]`, as the student sees them.
        """
        with torch.no_grad():
            return {place: model.with_regions(x)[1][place] for place, model in self.models.items()}


def region_loss(student: Mapping[str, Regions], teachers: Mapping[str, Regions]) -> Tensor:
    """Tell how far the student's regions are from those that it is taught.

    Args:
        student: Regions by place, as `Recognizer.with_regions` gives them beside the logits.
        teachers: Regions of the same clips, by place, as `Teachers.regions` gives them.

    Returns:
        The mean square of the differences of centres and of half heights and widths, as shares of the map, averaged
        over the places.
    """
    distances = [_distance(student[place], regions) for place, regions in teachers.items()]
    return torch.stack(distances).mean()


def _distance(one: Regions, other: Regions) -> Tensor:
    size = torch.tensor(one.kernels.shape[-2:], device=one.centre.device)
    centres = ((one.centre - other.centre) / size).square().mean()
    return (centres + ((one.half - other.half) / size).square().mean()) / 2


def _place(name: str, student: Recognizer) -> str:
    """The student's place that settings name, whether its module is inside the block or after it."""
    return next((place for place in student.places if place.partition(" ")[0] == name), name)

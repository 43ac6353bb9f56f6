"""Regions of trained models teach those of a model with several modules."""

import pytest
import torch
from toys.recognizers import DYREG, RSTG, SIMPLE, recognizer_settings

from pipeline.errors import PipelineError
from pipeline.recognition.kick_start import Teachers, region_loss
from pipeline.recognition.recognizer import Recognizer, build_recognizer
from pipeline.recognition.region_proposals import Regions

PLACES = ("conv1", "conv2")


def recognizer(*places: str) -> Recognizer:
    torch.manual_seed(len(places))
    return build_recognizer(recognizer_settings(SIMPLE, *({**DYREG, "at": place} for place in places)), {"class": 3})


def regions(centre: float, half: float) -> Regions:
    return Regions(torch.full((1, 2, 9, 2), centre), torch.full((1, 2, 9, 2), half), torch.zeros(1, 2, 9, 10, 10))


def test_the_loss_is_the_mean_square_of_shares_of_the_map() -> None:
    student = {"conv1": regions(5.0, 2.0), "conv2": regions(4.0, 2.0)}
    teachers = {"conv1": regions(7.0, 2.0), "conv2": regions(4.0, 2.0)}
    assert float(region_loss(student, teachers)) == pytest.approx(0.2**2 / 2 / 2)
    assert float(region_loss(student, student)) == 0


def test_a_student_comes_to_look_where_its_teachers_look() -> None:
    x = torch.randint(0, 256, (2, 3, 1, 64, 64), dtype=torch.uint8)
    models = {place: recognizer(place) for place in PLACES}
    for place, model in models.items():
        torch.nn.init.constant_(model.graph(place).proposals.offset_scale, 0.5)
    student = recognizer(*PLACES)
    teachers = Teachers(models, student)
    optimizer = torch.optim.Adam(student.parameters(), 0.02)
    losses = []
    for _ in range(12):
        logits, seen = student.with_regions(x)
        assert torch.equal(logits["class"], student(x)["class"])
        loss = region_loss(seen, teachers.regions(x))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2
    assert not any(tensor.grad is not None for model in models.values() for tensor in model.parameters())


def test_a_teacher_without_the_module_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"teachers: conv2: the teacher has no dyreg module there.*at conv1"):
        Teachers({"conv2": recognizer("conv1")}, recognizer(*PLACES))
    other = build_recognizer(recognizer_settings(SIMPLE, {**RSTG, "at": "conv2"}), {"class": 3})
    with pytest.raises(PipelineError, match="the student has no dyreg module there"):
        Teachers({"conv2": recognizer("conv2")}, other)

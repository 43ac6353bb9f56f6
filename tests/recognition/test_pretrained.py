"""Weights that a recognizer begins with: of experiments and of published files."""

from pathlib import Path

import pytest
import torch
from toys.recognizers import RSTG, SIMPLE, recognizer_settings

from pipeline.errors import PipelineError
from pipeline.recognition.model_file import describe
from pipeline.recognition.pretrained import load_backbone
from pipeline.recognition.recognizer import build_recognizer
from pipeline.weights.saving import save_weights


def test_the_backbone_of_an_experiment_is_taken_over_and_nothing_else(tmp_path: Path) -> None:
    digits = recognizer_settings({**SIMPLE, "seed": 2}, frames=1)
    teacher = build_recognizer(digits, {"class": 10})
    save_weights(
        teacher.state_dict(), tmp_path / "model.safetensors", describe(digits, {"class": ["a"] * 10}, "random")
    )
    settings = recognizer_settings({**SIMPLE, "weights": {"experiment": "digits"}}, {**RSTG, "at": "final"})
    student = build_recognizer(settings, {"class": 46})
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    assert load_backbone(student, tmp_path / "model.safetensors", settings) == "random"
    for name, tensor in student.state_dict().items():
        origin = teacher.state_dict() if name.startswith("backbone.") else before
        assert torch.equal(tensor, origin[name]), name


def test_an_experiment_with_another_backbone_is_refused(tmp_path: Path) -> None:
    digits = recognizer_settings({**SIMPLE, "filters": 4, "pixels": "raw"})
    state = build_recognizer(digits, {"class": 2}).state_dict()
    save_weights(state, tmp_path / "model.safetensors", describe(digits, {"class": ["a", "b"]}, "random"))
    settings = recognizer_settings({**SIMPLE, "weights": {"experiment": "digits"}})
    student = build_recognizer(settings, {"class": 2})
    with pytest.raises(PipelineError, match=r"experiment digits has another backbone \(filters: 4, not 8, pixels: raw"):
        load_backbone(student, tmp_path / "model.safetensors", settings)

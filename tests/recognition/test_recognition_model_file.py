"""A recognizer's file: what is written is read again, and other files are refused."""

import json
from pathlib import Path

import pytest
import torch
from toys.recognizers import DYREG, RSTG, SIMPLE, recognizer_settings

from pipeline.errors import PipelineError
from pipeline.recognition.model_file import describe, read_recognizer
from pipeline.recognition.recognizer import build_recognizer
from pipeline.weights.saving import save_weights

SETTINGS = recognizer_settings(SIMPLE, {**RSTG, "at": "final"}, {**DYREG, "at": "conv2"})
HEADS = {"class": ["turn", "a stop", "none"]}


def test_a_written_recognizer_gives_the_same_logits_when_it_is_read(tmp_path: Path) -> None:
    model = build_recognizer(SETTINGS, {"class": 3}).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.1)
    save_weights(model.state_dict(), tmp_path / "model.safetensors", describe(SETTINGS, HEADS, "random"))
    read = read_recognizer(tmp_path / "model.safetensors")
    x = torch.randint(0, 256, (2, 3, 1, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(read.model(x)["class"], model(x)["class"])
    assert (read.settings, read.heads, read.origin) == (SETTINGS, HEADS, "random")
    assert not read.model.training


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(PipelineError, match=r"no readable model.*run train_recognizer again"):
        read_recognizer(path)
    save_weights({"a": torch.zeros(1)}, path, {"description": json.dumps({"kind": "bidirectional captioner"})})
    with pytest.raises(PipelineError, match="holds no convolutional recognizer"):
        read_recognizer(path)


def test_weights_that_are_not_those_of_the_settings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    state = build_recognizer(SETTINGS, {"class": 3}).state_dict()
    save_weights(state, path, describe(SETTINGS, {"class": ["turn", "a stop"]}, "random"))
    with pytest.raises(PipelineError, match=r"another version.*heads\.class\.weight is \[3, 8\], not \[2, 8\]"):
        read_recognizer(path)

"""What people name as weights that are none, or that others wrote: each is called what it is, with what to do."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import PipelineError
from pipeline.models.clip4clip import load_clip4clip
from pipeline.models.detector import load_detector
from pipeline.models.i3d import load_i3d
from pipeline.weights.loading import read_state

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 605157884\n".encode()
ZOO = {"model": {"backbone.bottom_up.stem.conv1.weight": np.zeros((2, 3), np.float32)}, "__author__": "Detectron2"}


def make(path: Path, content: object) -> Path:
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, list):
        with zipfile.ZipFile(path, "w") as archive:
            for name in content:
                archive.writestr(name, b"1234")
    else:
        torch.save(content, path)
    return path


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (POINTER, r"is a Git LFS pointer to a file of 605\.2 MB, and not that file: fetch it with `git lfs pull`"),
        (b"<!DOCTYPE html><html><title>Google Drive</title>", "is an HTML page, as a download gives that wants a conf"),
        (b"\n <html lang=en>", "is an HTML page"),
        (b"", "is an empty file: fetch it again"),
        (b'{"weight_map": {}}', "is JSON text, as an index or a configuration is"),
        (b"404: Not Found", "is a text that begins '404: Not Found'"),
        (["weights/a.pt", "weights/readme"], r"is a zip archive with weights/a\.pt, weights/readme: unpack it"),
        (["a.npy"], "is a zip archive of NumPy arrays"),
        (b"PK\x03\x04" + b"\0" * 999, "is an archive that is cut off"),
        (b"\x1f\x8b\x08" + b"\0" * 99, "is a gzip archive: unpack it"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 99, "is an HDF5 file, as Keras writes it"),
        (b"\x93NUMPY\x01\0" + b"\0" * 99, "is a NumPy array"),
        (b"\x07" * 100, "is a file of 100 bytes that begins as no known kind of weights does"),
        (pickle.dumps(ZOO), "is a pickle of NumPy arrays, as of detectron2; it cannot be read as weights"),
        (pickle.dumps({"a": np.zeros(3)}, protocol=0), "is a pickle of NumPy arrays, as of detectron2 and Caffe2"),
        (pickle.dumps({"a": 1}), "is a pickle, not written by torch.save"),
        (Net(), "is a file of torch.save that holds objects of test_forms.Net"),
        ({"epoch": 3, "loss": 0.1}, "is a file of torch.save with a dict of epoch, loss, and no state dict of tensors"),
        ({"pytorch-lightning_version": "2.1", "state_dict": Net()}, "is a Lightning checkpoint that holds objects of "),
    ],
)
@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_a_file_is_called_what_it_is(tmp_path: Path, name: str, content: object, said: str) -> None:
    path = make(tmp_path / name, content)
    with pytest.raises(PipelineError, match=rf"{name} {said}") as caught:
        read_state(path, "x.pt")
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert "arbitrary code" not in str(caught.value)


def test_a_file_of_torch_that_is_cut_or_damaged_says_so(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, tmp_path / "whole.pt")
    torch.save({"a": torch.zeros(1000)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name, said in (("whole.pt", "an archive that is cut off"), ("old.pt", "a file of torch.save that is damaged")):
        (tmp_path / f"cut_{name}").write_bytes((tmp_path / name).read_bytes()[:3000])
        with pytest.raises(PipelineError, match=f"cut_{name} is {said}"):
            read_state(tmp_path / f"cut_{name}", "x.pt")


def test_a_folder_is_called_so_and_the_file_in_it_named(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "config.json").write_text("{}")
    (tmp_path / "clip" / "model.safetensors").write_bytes(b"")
    for load in (load_i3d, lambda path: load_clip4clip(path, "ViT-B-32")):
        with pytest.raises(PipelineError, match=r"clip is a folder: name the file in it, such as model\.safetensors"):
            load(tmp_path / "clip")


@pytest.mark.parametrize(
    ("key", "whose"),
    [
        ("vision_model.encoder.layers.0.self_attn.q_proj.weight", "transformers"),
        ("videomae.encoder.layer.0.attention.attention.query.weight", "transformers"),
        ("backbone.bottom_up.res2.0.conv1.weight", "detectron2"),
        ("model.0.conv.weight", "ultralytics"),
    ],
)
def test_names_of_other_libraries_are_called_theirs(tmp_path: Path, key: str, whose: str) -> None:
    torch.save({key: torch.zeros(1), "logit_scale": torch.zeros(())}, tmp_path / "a.bin")
    for load in (load_i3d, lambda path: load_clip4clip(path, "ViT-B-32"), lambda path: load_detector(path, SMALL, 64)):
        with pytest.raises(PipelineError, match=rf"a\.bin \(in the names of {whose}\) holds another architecture"):
            load(tmp_path / "a.bin")


SMALL = "fasterrcnn_resnet18_fpn"

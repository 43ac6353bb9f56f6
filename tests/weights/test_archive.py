"""TorchScript archives: their tensors are those of their state dict, and neither their code nor their pickle runs."""

import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from toys.torchscript import write_torchscript

from pipeline.errors import PipelineError
from pipeline.weights.loading import read_state

STATE = {
    "visual.conv1.weight": torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(1)).half(),
    "visual.transformer.resblocks.0.ln_1.weight": torch.arange(4.0),
    "visual.proj": torch.arange(6.0).view(2, 3).T,  # not contiguous
    "norm.num_batches_tracked": torch.tensor(7),
    "logit_scale": torch.tensor(4.6),
    "none": torch.zeros(0, 2),
}


def test_the_tensors_of_a_module_are_read(tmp_path: Path) -> None:
    write_torchscript(STATE, tmp_path / "clip.pt")
    found, metadata = read_state(tmp_path / "clip.pt", "x.pt")
    assert metadata["format"] == "TorchScript"
    assert found.keys() == STATE.keys()  # and no mask
    for key, value in STATE.items():
        assert found[key].dtype == value.dtype
        assert torch.equal(found[key], value)


def rewritten(path: Path, record: str, content: bytes) -> Path:
    """The archive with another record."""
    new = path.with_name(f"new_{path.name}")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(new, "w") as archive:
        for info in old.infolist():
            inner = info.filename.partition("/")[2]
            archive.writestr(info.filename, content if inner == record else old.read(info))
    return new


class Touch:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def test_a_pickle_in_an_archive_runs_nothing(tmp_path: Path) -> None:
    write_torchscript(STATE, tmp_path / "clip.pt")
    evil = rewritten(tmp_path / "clip.pt", "data.pkl", pickle.dumps(Touch(tmp_path / "ran"), protocol=2))
    with pytest.raises(PipelineError, match="is a TorchScript archive that is damaged or of an unknown form"):
        read_state(evil, "x.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x80\x02]r\xff\xff\xff\x7f.", "place 2147483647 of its memo"),
        (b"\x80\x02c__torch__\nA\n)\x81q\x00}X\x01\x00\x00\x00ah\x00sb.", "too many, or hold themselves"),
        (b"\x80\x02}.", "not as TorchScript writes them"),
        (b"\x80\x02]]].", "not as TorchScript writes them"),
        (b"\x80\x02]a.", "unknown form"),
        (b"", "unknown form"),
    ],
)
def test_an_archive_that_lies_is_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    write_torchscript(STATE, tmp_path / "clip.pt")
    with pytest.raises(PipelineError, match=reason) as caught:
        read_state(rewritten(tmp_path / "clip.pt", "data.pkl", content), "x.pt")
    assert "\n" not in str(caught.value)


def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    write_torchscript({"a.weight": torch.arange(4.0)}, tmp_path / "clip.pt")
    with zipfile.ZipFile(tmp_path / "clip.pt") as archive:
        key = next(name for name in archive.namelist() if "/data/" in name and archive.getinfo(name).file_size == 16)
    with pytest.raises(PipelineError, match=r"a tensor of \[4\] reaches beyond the 8 bytes it has"):
        read_state(rewritten(tmp_path / "clip.pt", key.partition("/")[2], b"12345678"), "x.pt")

"""Files of tensors, what of them fits a network, and that no pickle runs."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipeline.errors import PipelineError
from pipeline.weights.loading import differences, match_table, read_state

EXPECTED = {
    "conv.weight": torch.zeros(2, 3),
    "conv.bias": torch.zeros(2),
    "norm.deep.num_batches_tracked": torch.tensor(0),
    "scale": torch.tensor(1.0),
}


def test_pickles_and_safetensors_are_read_whatever_they_are_called(tmp_path: Path) -> None:
    state = {"conv.weight": torch.arange(6.0).view(2, 3)}
    torch.save(state, tmp_path / "a.pt")
    torch.save(state, tmp_path / "b", _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / "c.safetensors", {"origin": "here"})
    save_file(state, tmp_path / "12345")  # as some addresses end
    for name in ("a.pt", "b", "c.safetensors", "12345"):
        found, metadata = read_state(tmp_path / name, "x.pt")
        assert torch.equal(found["conv.weight"], state["conv.weight"])
        assert metadata == ({"origin": "here"} if name == "c.safetensors" else {})


class Touch:
    """Makes a file when it is unpickled freely."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)


def test_code_in_a_pickle_does_not_run(tmp_path: Path) -> None:
    torch.save({"conv.weight": Touch(tmp_path / "ran")}, tmp_path / "evil.pt")
    with pytest.raises(PipelineError, match=r"evil\.pt cannot be read as weights") as caught:
        read_state(tmp_path / "evil.pt", "x.pt")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_what_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "cut.safetensors").write_bytes(b"\x00\x01")
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "nested.pt")
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    for name in ("text.pt", "empty.pt", "cut.safetensors", "nested.pt", "list.pt", "none.pt"):
        with pytest.raises(PipelineError, match=name) as caught:
            read_state(tmp_path / name, "x.pt")
        assert "\n" not in str(caught.value)


def test_differences_are_named() -> None:
    whole = dict(EXPECTED)
    assert differences(whole, EXPECTED) == []
    del whole["norm.deep.num_batches_tracked"]  # may be missing
    assert differences(whole, EXPECTED) == []
    del whole["scale"]
    many = whole | {f"more.{number}": torch.zeros(1) for number in range(5)} | {"conv.weight": torch.zeros(2, 4)}
    assert differences(many, EXPECTED) == [
        "shapes: conv.weight is [2, 4], not [2, 3]",
        "missing: scale",
        "unknown: more.0, more.1, more.2 and 2 more",
    ]


def test_the_table_says_what_was_matched() -> None:
    state = {
        "conv.weight": torch.zeros(2, 3, dtype=torch.float16),
        "conv.bias": torch.zeros(2, dtype=torch.float16),
        "scale": torch.tensor(1.0),
    }
    left_out = {"cross.a.weight": "not needed", "cross.b.weight": "not needed", "lstm.bias": "not needed"}
    assert match_table(state, EXPECTED, depth=1, left_out=left_out).splitlines() == [
        "  conv        2 tensors              8 numbers",
        "  scale       1 tensors              1 numbers",
        "  in all      3 tensors              9 numbers",
        "  not in the file: 1 counts of batches, which nothing uses",
        "  left out: 2 tensors of cross (not needed)",
        "  left out: 1 tensors of lstm (not needed)",
        "  2 tensors brought from float16 to float32",
    ]
    complete = match_table(EXPECTED, EXPECTED, depth=2, left_out={})
    assert complete.splitlines() == [
        "  conv           2 tensors              8 numbers",
        "  norm.deep      1 tensors              1 numbers",
        "  scale          1 tensors              1 numbers",
        "  in all         4 tensors             10 numbers",
    ]

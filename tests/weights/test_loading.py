"""Files of tensors, what of them fits a network, and that no pickle runs."""

import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pipeline.errors import PipelineError
from pipeline.weights.loading import described, differences, load_strictly, match_table, read_state

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
    with pytest.raises(PipelineError, match=r"evil\.pt is .*; it cannot be read as weights") as caught:
        read_state(tmp_path / "evil.pt", "x.pt")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_what_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "cut.safetensors").write_bytes(b"\x00\x01")
    torch.save({"state_dict": {"a": {"b": torch.zeros(1)}}}, tmp_path / "nested.pt")
    torch.save({"model": {"a": torch.zeros(1)}, "state_dict": {"a": torch.ones(1)}}, tmp_path / "two.pt")
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    for name in ("text.pt", "empty.pt", "cut.safetensors", "nested.pt", "two.pt", "list.pt", "none.pt"):
        with pytest.raises(PipelineError, match=name) as caught:
            read_state(tmp_path / name, "x.pt")
        assert "\n" not in str(caught.value)


class Arguments:
    """Stands for what trainings save beside weights, of a class that this machine need not have."""

    def __init__(self) -> None:
        self.lr = 0.1


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3, "optimizer": {"state": {}}},
        lambda state: {"model_state_dict": state, "loss": torch.tensor(1.0)},
        lambda state: {"model": state, "args": Arguments()},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"state_dict": {f"module._orig_mod.{key}": value for key, value in state.items()}},
    ],
)
def test_what_a_training_wraps_a_state_dict_in_is_taken_off(tmp_path: Path, wrap) -> None:
    state = {"conv.weight": torch.arange(6.0).view(2, 3).T, "module.bias": torch.ones(2, dtype=torch.float16)}
    torch.save(wrap(state), tmp_path / "a.pt")
    found, _ = read_state(tmp_path / "a.pt", "x.pt")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) and found[key].dtype == state[key].dtype for key in state)


def test_a_checkpoint_of_lightning_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    state = {"model.conv.weight": torch.zeros(2, 3), "model.conv.bias": torch.zeros(2)}
    torch.save({"state_dict": state, "pytorch-lightning_version": "2.1.0", "hyper_parameters": Arguments()}, "l.ckpt")
    found, metadata = read_state(Path("l.ckpt"), "x.pt")
    assert found.keys() == state.keys()
    told = described(Path("l.ckpt"), found, metadata)
    assert told == "l.ckpt (a Lightning 2.1.0 checkpoint, all below `model.`, whose state dict is wanted alone)"


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


def small_network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def load(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    load_strictly(model, state, refusal="a.pt is no b", matched="a.pt: b", depth=1, level=logging.INFO)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_network_gets_the_tensors_of_a_file_in_its_own_types(device: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    whole = small_network().state_dict()
    state = {key: value.half() if value.is_floating_point() else value for key, value in whole.items()}
    del state["1.num_batches_tracked"]  # files of PyTorch before 0.4.1 have no counts of batches
    with torch.device(device):
        model = small_network()
    load(model, state)
    assert not model.training
    found = model.state_dict()
    assert found.keys() == whole.keys()
    assert all(torch.equal(found[key], value.to(whole[key].dtype)) for key, value in state.items())
    assert found["0.weight"].dtype == torch.float32
    assert found["1.num_batches_tracked"].item() == 0
    assert caplog.messages[0].startswith("a.pt: b\n  0           2 tensors              9 numbers\n")


def test_a_file_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    model = small_network()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = {**before, "0.weight": torch.zeros(3, 4), "more": torch.zeros(1)}
    del state["0.bias"]
    with pytest.raises(PipelineError) as caught:
        load(model, state)
    told = "a.pt is no b: shapes: 0.weight is [3, 4], not [3, 2]; missing: 0.bias; unknown: more"
    assert str(caught.value) == told
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_counts_of_batches_may_be_missing_in_what_torch_saved(tmp_path: Path) -> None:
    """Such a file says which version wrote it, and torch would ask a newer one for the counts."""
    state = small_network().state_dict()
    del state["1.num_batches_tracked"]
    torch.save(state, tmp_path / "a.pt")
    load(small_network(), read_state(tmp_path / "a.pt", "x.pt")[0])

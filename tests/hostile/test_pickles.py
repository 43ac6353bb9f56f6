"""Pickles that would run a command, handed to everything that reads one: none is run."""

import functools
import hashlib
import http.server
import os
import pickle
import threading
from pathlib import Path

import pytest
import torch

from pipeline.__main__ import main
from pipeline.captioning.model_file import load_captioner
from pipeline.config import MsvdSettings
from pipeline.datasets import plain_pickle
from pipeline.datasets.msvd import read_annotations
from pipeline.datasets.plain_pickle import read_plain_pickle
from pipeline.errors import PipelineError
from pipeline.models import clip4clip, detector, i3d
from pipeline.weights import fetching as weights_cache

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Touch:
    """What its pickle does when it is read without care: it makes a file."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def mark(tmp_path):
    """The file that no attack may make; first, that the attack is real."""
    made = tmp_path / "pwned"
    pickle.loads(pickle.dumps(Touch(made)))
    assert made.is_file()
    made.unlink()
    yield made
    assert not made.exists()


def attack(path, mark, form):
    """Write the command as weights: alone, among tensors in torch's own file, or in its old form."""
    if form == "bare":
        path.write_bytes(pickle.dumps(Touch(mark)))
    else:
        state = {"weight": torch.zeros(2), "more": Touch(mark)}
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    return path


def load_clip(path):
    clip4clip.load_pretrained(str(path), "ViT-B-32", 0)


def load_detector(path):
    detector.load_pretrained(str(path), "fasterrcnn_resnet50_fpn_v2", 64, 0)


@pytest.mark.parametrize("form", ["bare", "zip", "old"])
@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
@pytest.mark.parametrize("load", [i3d.load_i3d, load_clip, load_detector, load_captioner])
def test_loaders_of_weights_run_nothing(tmp_path, mark, load, name, form):
    path = attack(tmp_path / name, mark, form)
    with pytest.raises(PipelineError, match=name) as raised:
        load(path)
    assert "\n" not in str(raised.value)


def i3d_settings(weights):
    rest = '"calibrate_on": null, "calibration_clips": 1, "size": 64, "seed": 1, "precision": "fp32"'
    return f'{{"kind": "i3d", "weights": {weights}, {rest}}}'


def test_import_weights_from_a_file_runs_nothing(tmp_path, mark, capsys):
    path = attack(tmp_path / "w.pt", mark, "zip")
    flags = ["--out", str(tmp_path / "out.safetensors"), "--videos", "--captions"]
    assert main(["import_weights", "--settings", i3d_settings(f'"{path}"'), *flags]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "cannot be read as weights" in lines[0]


def test_import_weights_from_a_url_runs_nothing(tmp_path, mark, capsys, monkeypatch):
    attack(tmp_path / "w.pt", mark, "zip")
    monkeypatch.setattr(weights_cache, "CACHE", tmp_path / "cache")
    digest = hashlib.sha256((tmp_path / "w.pt").read_bytes()).hexdigest()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/w.pt"
        source = f'{{"url": "{url}", "sha256": "{digest}"}}'
        flags = ["--out", str(tmp_path / "out.safetensors"), "--videos", "--captions"]
        code = main(["import_weights", "--settings", i3d_settings(source), *flags])
        server.shutdown()
    error = capsys.readouterr().err
    assert code == 2
    assert "cannot be read as weights" in error
    assert "Traceback" not in error


def msvd(path):
    return MsvdSettings(kind="msvd", shards=1, videos=path.parent, mapping=None, captions=path, splits="position")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_captions_of_every_protocol(tmp_path, protocol):
    told = {"vid1": [["a", "dog"], ["caf\u00e9"]], "vid1205": ["as one text"], "vid2": []}
    (tmp_path / "c.pkl").write_bytes(pickle.dumps(told, protocol=protocol))
    found = read_annotations(msvd(tmp_path / "c.pkl"))
    assert found.captions == {"vid1": ["a dog", "caf\u00e9"], "vid1205": ["as one text"]}
    assert found.split_of == {"vid1": "train", "vid1205": "val"}


def test_texts_of_python_2(tmp_path):
    """As Python 2 writes {'vid1': [['a', 'caf\\xc3\\xa9']]}: byte strings, protocols 0 and 2."""
    (tmp_path / "0.pkl").write_bytes(b"(dp0\nS'vid1'\np1\n(lp2\n(lp3\nS'a'\np4\naS'dog'\np5\naas.")
    (tmp_path / "2.pkl").write_bytes(b"\x80\x02}q\x00U\x04vid1q\x01]q\x02]q\x03(U\x01aq\x04U\x05caf\xc3\xa9q\x05eas.")
    (tmp_path / "latin.pkl").write_bytes(b"\x80\x02}q\x00U\x04vid1q\x01]q\x02]q\x03(U\x01aq\x04U\x04caf\xe9q\x05eas.")
    assert read_annotations(msvd(tmp_path / "0.pkl")).captions == {"vid1": ["a dog"]}
    assert read_annotations(msvd(tmp_path / "2.pkl")).captions == {"vid1": ["a caf\u00e9"]}
    with pytest.raises(PipelineError, match=r"latin\.pkl: a text in it is not UTF-8"):
        read_annotations(msvd(tmp_path / "latin.pkl"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_captions_that_would_run_a_command(tmp_path, mark, protocol):
    (tmp_path / "c.pkl").write_bytes(pickle.dumps({"vid1": [["a", Touch(mark)]]}, protocol=protocol))
    with pytest.raises(PipelineError, match=r"a pickle that wants `posix\.system`: it was not run; expected") as raised:
        read_annotations(msvd(tmp_path / "c.pkl"))
    assert "\n" not in str(raised.value)


def test_an_unpickler_that_is_reached_still_imports_nothing(tmp_path, mark, monkeypatch):
    """The second wall, with the first one taken down."""
    monkeypatch.setattr(plain_pickle, "_refused", lambda _: None)
    (tmp_path / "c.pkl").write_bytes(pickle.dumps(Touch(mark)))
    with pytest.raises(PipelineError, match=r"it wants posix\.system"):
        read_plain_pickle(tmp_path / "c.pkl")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(Path("x")), r"wants `pathlib\."),
        (pickle.dumps(len), r"wants `builtins\.len`"),
        (b"c__builtin__\neval\n(S'1'\ntR.", r"wants `__builtin__\.eval`"),
        (b"(S'x'\nios\nsystem\n.", r"wants `os\.system`"),
        (b"\x82\x01.", "wants the instruction EXT1"),
        (b"Pname\n.", "wants the instruction PERSID"),
        (pickle.dumps(b"bytes"), "wants the instruction SHORT_BINBYTES"),
        (b"\x80\x02]r\xff\xff\xff\x7f.", "wants place 2147483647 of its memo"),
        (b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x0f.", "no readable pickle"),
        (b"\x80\x04h\x07.", "no readable pickle"),
        (pickle.dumps({"vid1": [["a"]]})[:-3], "no readable pickle"),
        (b"", "no readable pickle"),
        (pickle.dumps(["a"]), "found a list"),
        (pickle.dumps({"vid1": "a dog"}), "vid1: expected a list of captions, found a str"),
        (pickle.dumps({"vid1": [{"a": 1}]}), "vid1: expected captions that are lists of words, found a dict"),
        (pickle.dumps({"vid1": [["a", 2]]}), "vid1: expected captions that are lists of words, found a list"),
        (pickle.dumps({"../vid1": [["a"]]}), "would leave the data folder"),
        (pickle.dumps({7: [["a"]]}), "must be a text that is not empty, not 7"),
        (pickle.dumps({"vid1": [["\ud800"]]}), "half a character"),
        (b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", "found a list"),
    ],
)
def test_pickles_that_are_no_captions(tmp_path, content, message):
    (tmp_path / "c.pkl").write_bytes(content)
    with pytest.raises(PipelineError, match=message) as raised:
        read_annotations(msvd(tmp_path / "c.pkl"))
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600


def test_a_caption_repeated_by_reference_fills_no_memory(tmp_path, monkeypatch):
    """A thousand times a thousand times a thousand words, in five kilobytes."""
    words = ["a"] * 1000
    (tmp_path / "c.pkl").write_bytes(pickle.dumps({f"vid{n}": [words] * 1000 for n in range(1, 4)}))
    monkeypatch.setattr("pipeline.datasets.msvd.NUM_WORDS", 10_000)
    with pytest.raises(PipelineError, match="more than 10,000 words so far"):
        read_annotations(msvd(tmp_path / "c.pkl"))


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "c.pkl").open("wb") as file:
        file.truncate(plain_pickle.MAX_BYTES + 1)
    with pytest.raises(PipelineError, match="268,435,457 bytes of pickle, expected at most"):
        read_annotations(msvd(tmp_path / "c.pkl"))

"""A routing experiment has no model that a command could show videos to."""

import pytest

from pipeline.__main__ import main
from pipeline.artifact import write_json


@pytest.mark.parametrize("command", ["recognize", "caption"])
def test_it_is_refused_in_one_line_that_says_what_to_name(tmp_path, capfd, command):
    folder = tmp_path / "results/experiments/tstl"
    folder.mkdir(parents=True)
    write_json(folder / "settings.json", {"kind": "routing"})
    (tmp_path / "a.mp4").write_bytes(b"video")
    given = [command, str(tmp_path / "a.mp4"), "--experiment", str(folder), "--out", str(tmp_path / "out.json")]
    assert main(given if command == "caption" else given[:-2]) == 2
    *_, error = capfd.readouterr().err.splitlines()
    assert "tstl: an experiment of kind routing has no model of its own: name its selector" in error

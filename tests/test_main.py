import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pipeline import __main__ as command_line
from pipeline.config import GridNodesSettings

SETTINGS = '{"kind": "grid", "sampling": "action", "encoder": "clip", "cells": 3, "overlap": 0.5}'


def pipeline(*arguments):
    return subprocess.run([sys.executable, "-m", "pipeline", *arguments], capture_output=True, text=True, check=False)


def example(frames: list[Path], out: Path, settings: GridNodesSettings, threads: int, note: Path | None = None) -> None:
    """Do something.

    Args:
        frames: The frames,
            100 % of them.
        out: The result.
        settings: How.
        threads: How many at once.
        note: May be left out.
    """


def test_a_stages_flags_are_its_signature():
    parser = command_line.stage_parser("example", example)
    flags = parser.parse_args(["--frames", "a", "b", "--out", "c", "--settings", SETTINGS, "--threads", "2"])
    assert flags.frames == [Path("a"), Path("b")]
    assert (flags.out, flags.threads, flags.note) == (Path("c"), 2, None)
    assert flags.settings.cells == 3
    help_text = parser.format_help()
    assert "Do something." in help_text
    assert "The frames, 100 % of them." in help_text


def test_help_lists_every_stage_without_importing_any():
    done = pipeline("--help")
    assert done.returncode == 0
    for path in command_line.STAGES.glob("[a-z]*.py"):
        assert f"  {path.stem} " in done.stdout


@pytest.mark.parametrize("stage", sorted(command_line.stage_summaries()))
def test_every_stage_explains_itself_and_each_of_its_flags(stage):
    module = __import__(f"pipeline.stages.{stage}", fromlist=["run"])
    parser = command_line.stage_parser(stage, module.run)
    assert command_line.stage_summaries()[stage].endswith(".")
    assert parser.description
    for action in parser._actions:
        assert action.help, f"{stage} {action.option_strings}"


def test_an_unknown_stage_is_named():
    done = pipeline("build_grid_node")
    assert done.returncode == 2
    assert "build_grid_node" in done.stderr


def run_stage(monkeypatch, tmp_path, body):
    (tmp_path / "do_thing.py").write_text(textwrap.dedent(body))
    monkeypatch.setattr(command_line, "STAGES", tmp_path)
    monkeypatch.setattr("pipeline.stages.__path__", [str(tmp_path)])
    sys.modules.pop("pipeline.stages.do_thing", None)
    return command_line.main(["do_thing"])


def test_a_users_mistake_is_one_line_and_exit_code_2(monkeypatch, tmp_path, capsys):
    body = '''
    """Do a thing."""
    from pipeline.errors import PipelineError
    def run() -> None:
        raise PipelineError("weights/x.pt does not exist: set encoders.i3d.weights")
    '''
    assert run_stage(monkeypatch, tmp_path, body) == 2
    assert capsys.readouterr().err == "error: do_thing: weights/x.pt does not exist: set encoders.i3d.weights\n"


def test_a_bug_keeps_its_traceback(monkeypatch, tmp_path):
    body = '''
    """Do a thing."""
    def run() -> None:
        1 / 0
    '''
    with pytest.raises(ZeroDivisionError):
        run_stage(monkeypatch, tmp_path, body)


def test_settings_that_do_not_fit_are_a_users_mistake(tmp_path):
    done = pipeline("build_vocabulary", "--settings", "{}")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr

import importlib
import inspect
import os
import subprocess
import sys
import textwrap
import typing
from pathlib import Path

import pytest

from pipeline import __main__ as command_line
from pipeline.config import GridNodesSettings

SETTINGS = '{"kind": "grid", "sampling": "action", "encoder": "clip", "cells": 3, "overlap": 0.5}'


def pipeline(*arguments, path=None):
    """Run a stage or a command; modules in the folder `path` come before all others."""
    env = None if path is None else os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    program = [sys.executable, "-m", "pipeline", *arguments]
    return subprocess.run(program, capture_output=True, text=True, check=False, env=env)


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
    parser = command_line.stage_parser(stage, command_line.signature_of(stage))
    assert command_line.stage_summaries()[stage].endswith(".")
    assert parser.description
    for action in parser._actions:
        assert action.help, f"{stage} {action.option_strings}"


@pytest.mark.parametrize("stage", sorted(command_line.stage_summaries()))
def test_the_signature_that_is_read_without_importing_a_stage_is_that_of_its_run(stage):
    run = importlib.import_module(f"pipeline.stages.{stage}").run
    read = command_line.signature_of(stage)
    assert inspect.signature(read) == inspect.signature(run)
    assert typing.get_type_hints(read) == typing.get_type_hints(run)
    assert inspect.getdoc(read) == inspect.getdoc(run)


def modules_loaded(program: str) -> set[str]:
    """The modules that a program of Python lines has loaded at its end."""
    lines = f"{program}\nimport sys\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True).stdout.split())


def test_no_stage_imports_numpy_or_torch_to_read_its_flags():
    loaded = modules_loaded(
        "from pipeline.__main__ import *\nfor stage in stage_summaries(): stage_parser(stage, signature_of(stage))"
    )
    assert "pipeline.config" in loaded
    assert not {"torch", "numpy", "zarr", "matplotlib", "av"} & loaded


def test_a_mistake_in_the_flags_is_found_without_torch(tmp_path):
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    done = pipeline("extract_clip", "--settings", "{}", path=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: extract_clip: ")
    assert "Field required" in done.stderr


# PyTorch Geometric and torchvision bring `torch._dynamo`, which takes half as long to import as torch itself.
NETWORK = frozenset({"torch"})
DETECTOR = NETWORK | {"torchvision", "torch._dynamo"}
CLIP = DETECTOR | {"open_clip"}
GRAPHS = NETWORK | {"torch_geometric", "torch._dynamo", "pandas"}
NEEDED = {
    "build_grid_nodes": CLIP,
    "build_object_nodes": CLIP,
    "caption_videos": GRAPHS,
    "embed_knowledge": CLIP | GRAPHS,
    "draw_embeddings": frozenset({"matplotlib"}),
    "explain_maps": GRAPHS,
    "extract_cast": DETECTOR,
    "extract_clip": CLIP,
    "extract_features": DETECTOR,
    "extract_front": DETECTOR,
    "extract_i3d": NETWORK,
    "extract_maps": DETECTOR,
    "extract_regions": DETECTOR,
    "extract_union_motion": NETWORK,
    "finetune_clip4clip": CLIP,
    "finetune_detector": DETECTOR,
    "generate_captions": GRAPHS,
    "import_weights": NETWORK,
    "pretrain_videomae": DETECTOR,
    "recognize_videos": DETECTOR,
    "route_clips": DETECTOR,
    "score_clip": CLIP,
    "train_captioner": GRAPHS,
    "train_lstm": GRAPHS,
    "train_recognizer": DETECTOR,
    "write_report": frozenset({"matplotlib"}),
}


@pytest.mark.parametrize("needed", sorted({*NEEDED.values(), frozenset()}, key=sorted))
def test_a_stage_imports_no_heavy_library_that_it_does_not_need(needed):
    alike = [stage for stage in command_line.stage_summaries() if NEEDED.get(stage, frozenset()) == needed]
    loaded = modules_loaded("\n".join(f"import pipeline.stages.{stage}" for stage in alike))
    assert f"pipeline.stages.{alike[0]}" in loaded
    assert loaded & (CLIP | GRAPHS | {"matplotlib", "tensorboard"}) <= needed


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

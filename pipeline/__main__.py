"""The command line: `python -m pipeline <stage> ...`, and the commands of `COMMANDS`, such as `caption`.

A stage is a module of `pipeline.stages`; the signature and docstring of its `run` are the stage's flags and help.
Only the stage asked for is imported, and that after its flags were read: torch and what stands on it take seconds.
"""

import argparse
import ast
import importlib
import inspect
import logging
import os
import re
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.config import parse_settings
from pipeline.errors import PipelineError
from pipeline.jobs import gpus, messages, preemption, waiting_threads
from pipeline.jobs.storage import explain, require_writable

log = logging.getLogger("pipeline.main")  # `__name__` is `__main__` when this is the program

STAGES = Path(__file__).parent / "stages"
COMMANDS = {  # each a module of `pipeline.commands`
    "caption": "Caption a few videos by a finished experiment.",
    "recognize": "Say of a few videos which classes a finished experiment sees in them.",
    "status": "Say of each experiment what is done, running, failed and left, and how long the rest may take.",
    "verify": "Say which results are damaged, stale or orphaned, and what mends them.",
    "gc": "List, and with --yes delete, results that nothing in the configuration needs, or all of them.",
}


def stage_summaries() -> dict[str, str]:
    """The first line of every stage's module docstring, by the stage's name. No stage is imported."""
    summaries = {}
    for path in sorted(STAGES.glob("[a-z]*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        summaries[path.stem] = docstring.partition("\n")[0]
    return summaries


def signature_of(stage: str) -> Callable[..., None]:
    """A stage's `run`, to be read and not to be called: of the module's imports it has those that its flags name.

    So help, and a mistake in the flags, need no torch.
    """
    path = STAGES / f"{stage}.py"
    module = ast.parse(path.read_text(encoding="utf-8"), path)
    (run,) = (node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "run")
    named = {node.id for node in ast.walk(run.args) if isinstance(node, ast.Name)}
    imports: list[ast.stmt] = []
    for node in module.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            node.names = [alias for alias in node.names if (alias.asname or alias.name.partition(".")[0]) in named]
            imports += [node] if node.names else []
    made: dict[str, Any] = {}
    exec(compile(ast.Module([*imports, run], []), path, "exec"), made)
    return typing.cast("Callable[..., None]", made["run"])


def stage_parser(stage: str, run: Callable[..., None]) -> argparse.ArgumentParser:
    """Make the parser of a stage's flags from the signature and docstring of its `run`."""
    docstring = inspect.getdoc(run) or ""
    parser = argparse.ArgumentParser(
        prog=f"python -m pipeline {stage}",
        description=docstring.partition("\nArgs:")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    helps = _argument_helps(docstring)
    types_of = typing.get_type_hints(run, include_extras=True)
    for name, parameter in inspect.signature(run).parameters.items():
        flag = f"--{name.replace('_', '-')}"
        required = parameter.default is inspect.Parameter.empty
        options: dict[str, Any] = {"required": required, "help": helps.get(name, "").replace("%", "%%")}
        if not required:
            options["default"] = parameter.default
        of = types_of[name]
        if typing.get_origin(of) is list:
            parser.add_argument(flag, dest=name, nargs="*", type=typing.get_args(of)[0], metavar="PATH", **options)
        else:
            parser.add_argument(flag, dest=name, type=_converter(of), metavar=_metavar(of), **options)
    return parser


def _plain(of: Any) -> Any:
    """The type `X` of `X | None`; any other type as it is."""
    if typing.get_origin(of) in (types.UnionType, typing.Union):
        members = [member for member in typing.get_args(of) if member is not type(None)]
        if len(members) == 1:
            return members[0]
    return of


def _converter(of: Any) -> Callable[[str], Any]:
    plain = _plain(of)
    if plain in (str, int, float, Path):
        return typing.cast("Callable[[str], Any]", plain)
    return lambda text: parse_settings(of, text)


def _metavar(of: Any) -> str:
    return {Path: "PATH", int: "N", float: "X", str: "TEXT"}.get(_plain(of), "JSON")


def _argument_helps(docstring: str) -> dict[str, str]:
    """The texts in the `Args:` section of a Google-style docstring, by argument."""
    section = docstring.partition("\nArgs:\n")[2].partition("\n\n")[0]
    helps: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        start = re.match(r"    (\w+): (.*)", line)
        if start:
            name, helps[start[1]] = start[1], start[2]
        elif name:
            helps[name] += " " + line.strip()
    return helps


def main(arguments: list[str]) -> int:
    """Run one stage, or one of the commands.

    Returns:
        The exit code: 0; 2 for a mistake that the user can mend; 143 after SIGTERM; 141 if the reader of the output has
        gone; or the one that a command returns.
    """
    messages.configure()
    waiting_threads.wait_shortly()
    summaries = stage_summaries()
    commands, stages = (
        "\n".join(f"  {name:<24}{summary}" for name, summary in of.items()) for of in (COMMANDS, summaries)
    )
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description="Caption or recognize videos, look after the results, or run one stage as Snakemake does.",
        epilog=f"commands:\n{commands}\n\nstages:\n{stages}\n\n`python -m pipeline STAGE --help` explains one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stage", choices=[*COMMANDS, *summaries], metavar="STAGE")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...")
    chosen = parser.parse_args(arguments)
    if "TORCHELASTIC_RUN_ID" in os.environ:
        gpus.end_with_launcher()
    try:
        if chosen.stage in COMMANDS:
            return int(importlib.import_module(f"pipeline.commands.{chosen.stage}").main(chosen.arguments))
        loaded = sys.modules.get(f"pipeline.stages.{chosen.stage}")  # another program may have imported the stage
        signature = loaded.run if loaded is not None else signature_of(chosen.stage)
        flags = stage_parser(chosen.stage, signature).parse_args(chosen.arguments)
        if "out" in flags:
            require_writable(flags.out)
        run = importlib.import_module(f"pipeline.stages.{chosen.stage}").run
        with preemption.catching_sigterm():
            run(**vars(flags))
    except PipelineError as error:
        log.error("%s: %s", chosen.stage, error)
        return 2
    except preemption.Preempted as stopped:
        log.info("%s: %s", chosen.stage, stopped)
        return preemption.EXIT_CODE
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        message = explain(error)  # a full disk, wherever it was met
        if message is None:
            raise
        log.error("%s: %s", chosen.stage, message)
        return 2
    return 0


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    preemption.ignore()
    sys.exit(exit_code)

"""What the commands share that take videos and a finished experiment: their flags, a video table, and how they end."""

import argparse
import json
import logging
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar, get_args

from pipeline.artifact import read_json
from pipeline.artifact.video_table import table_entry
from pipeline.config import Settings, parse_settings
from pipeline.datasets import listing
from pipeline.errors import PipelineError
from pipeline.workflow.trials import SEEDS

# Kinds of experiments without a model, and what to name in their place.
WITHOUT_MODEL = {
    "routing": "name its selector or the expert of a group, each an experiment itself",
    "external": "another system made its captions: name an experiment of kind captioning or map_captioning",
}
INTERRUPTED, TERMINATED = 130, 143  # exit codes of shells: 128 and the number of the signal
Chain = TypeVar("Chain", bound=Settings)

log = logging.getLogger(__name__)


def parse(
    arguments: Sequence[str], command: str, summary: str, out: str, default: Path | None = None
) -> argparse.Namespace:
    """Parse `videos`, `experiment` and `out`. All arguments after `--` are videos, whatever they begin with.

    Args:
        arguments: The arguments after the command.
        command: Its name.
        summary: What it does, in a line.
        out: What it writes, in a few words, with its forms.
        default: Where that goes if the arguments do not say it; None if they must.

    Raises:
        PipelineError: if `out` is no name of a .json file.
    """
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(prog=f"python -m pipeline {command}", description=summary)
    parser.add_argument("videos", nargs="*", type=Path, metavar="VIDEO", help="a video file, or a folder of some")
    parser.add_argument(
        "--experiment", required=True, type=Path, metavar="DIR", help="a finished one: results/experiments/NAME"
    )
    told = f"{out}; a gallery (HTML) goes beside it" + (f"; {default} if not said" if default else "")
    parser.add_argument("--out", required=default is None, default=default, type=Path, metavar="FILE", help=told)
    chosen = parser.parse_intermixed_args(arguments[:end])
    chosen.videos += [Path(name) for name in arguments[end + 1 :]]
    if not chosen.videos:
        parser.error("which videos?")
    if chosen.out.suffix != ".json" or chosen.out.is_dir():
        raise PipelineError(
            f"--out {chosen.out}: expected the name of a .json file; the gallery becomes .html beside it"
        )
    return chosen


def first_trial(directory: Path) -> Path:
    """Check that a folder is of an experiment's first seed and that this is finished; return the folder of the results.

    Args:
        directory: The experiment's folder.

    Raises:
        PipelineError: if a file is missing (says what makes it), or if this is a trial with another seed.
    """
    if directory.absolute().parent.name == SEEDS:
        raise PipelineError(
            f"--experiment {directory}: a trial with another seed: new videos are given to the first one: name the "
            f"experiment itself, {directory.parent.parent}"
        )
    settings = directory / "settings.json"
    kind = read_json(settings, ["kind"], "describe_experiment")["kind"] if settings.is_file() else None
    if kind in WITHOUT_MODEL:
        raise PipelineError(
            f"--experiment {directory}: an experiment of kind {kind} has no model of its own: {WITHOUT_MODEL[kind]}"
        )
    expect(
        [directory / "settings.json", directory / "model.safetensors"],
        [f"experiments/{directory.absolute().name}/{name}" for name in ("settings.json", "model.safetensors")],
    )
    return Path(os.path.abspath(directory)).parent.parent  # noqa: PTH100, a link may stand for the experiment


def read_chain(directory: Path, models: Sequence[type[Chain]], purpose: str) -> Chain:
    """Read the settings that an experiment stands on.

    Args:
        directory: The experiment's folder.
        models: What its settings may be; the `kind` of each says which experiments have such.
        purpose: What the command makes, for the message where the experiment is of another kind.

    Raises:
        PipelineError: if the settings are not what the workflow writes, or are those of another kind.
    """
    path = directory / "settings.json"
    by_kind = {kind: model for model in models for kind in get_args(model.model_fields["kind"].annotation)}
    found = read_json(path, ["kind"], "describe_experiment")["kind"]
    if found not in by_kind:
        wanted = " or ".join(by_kind)
        raise PipelineError(f"{path}: an experiment of kind {found}: {purpose} need one of kind {wanted}")
    model = by_kind[found]
    content = read_json(path, list(model.model_fields), "describe_experiment")
    try:
        chain: Chain = parse_settings(model, json.dumps(content))
    except PipelineError as error:
        raise PipelineError(
            f"{path}: {str(error).removeprefix('settings: ')}: delete it and run describe_experiment again"
        ) from error
    return chain


def expect(paths: Sequence[Path], targets: Sequence[str]) -> None:
    """Raise PipelineError if a file is missing; it says what makes it.

    Args:
        paths: The files.
        targets: Their paths below the results.
    """
    missing = [(path, target) for path, target in zip(paths, targets, strict=True) if not path.is_file()]
    if missing:
        raise PipelineError(
            f"{', '.join(str(path) for path, _ in missing)}: not there: the experiment is not finished here: "
            f"snakemake {' '.join(f'results/{target}' for _, target in missing)}"
        )


def video_table(arguments: Sequence[Path]) -> tuple[dict[str, Any], dict[str, str]]:
    """Make a video table: its root is a folder that all the videos are below, and their paths below it are their ids.

    Args:
        arguments: Video files, and folders that stand for the videos in them. A file that does not exist is put into
            the table, too, and the stages report it.

    Returns:
        The table, with each file once and in the order of the arguments; and the reason for each argument that gave no
        video.
    """
    files: dict[str, str] = {}  # each file with the folder that the root must not be below
    refused = {}
    for argument in arguments:
        try:
            below = [Path()]
            if listing.is_folder(argument):
                below = [Path(video.path) for video in listing.list_videos(argument)]
                for line in listing.passed_over(argument):
                    log.info("passed over in %s: %s", argument, line)
            for path in below:
                os.fspath(argument / path).encode()
                file = os.path.abspath(argument / path)  # noqa: PTH100, resolving would follow links
                files[file] = os.path.abspath(argument if listing.is_folder(argument) else argument.parent)  # noqa: PTH100
        except PipelineError as error:
            refused[os.fspath(argument)] = str(error)
        except UnicodeEncodeError:
            refused[ascii(os.fspath(argument))] = "the file's name is not UTF-8: rename it"
    root = Path(os.path.commonpath(list(files.values()))) if files else Path()
    paths = {Path(file).relative_to(root).as_posix(): Path(file) for file in files}
    videos = [table_entry(path, path, _size(file), None) for path, file in paths.items()]
    return {"root": root.as_posix(), "videos": videos}, refused


def _size(file: Path) -> int:
    """Bytes of a file; 0 for what the stages will report, because it is none or may not be looked at."""
    return file.stat().st_size if listing.is_file(file) else 0


class SaysOnce:
    """A stream that passes on each line about a left-out video only once, because every stage repeats these lines."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.said: set[str] = set()
        self.line = ""

    def write(self, text: str) -> int:
        """Pass on the lines that are whole by now."""
        *lines, self.line = (self.line + text).split("\n")
        for line in lines:
            if line not in self.said:
                self.stream.write(line + "\n")
            if line.startswith("left out: "):
                self.said.add(line)
        return len(text)

    def flush(self) -> None:
        """Flush the stream below."""
        self.stream.flush()


@contextmanager
def terminable() -> Iterator[None]:
    """Inside this context SIGTERM raises SystemExit (143), so that temporary files are removed."""

    def leave(*_: object) -> None:
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

"""Caption a few videos by a finished experiment, without config.yaml.

    python -m pipeline caption VIDEO... --experiment results/experiments/grid --out captions.json

The videos become one shard of a data set in a temporary folder, and the stages of the workflow run on it in this
process. Captions go to stdout as they are found, everything else to stderr.
"""

import argparse
import json
import logging
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

from pipeline.artifact import read_json, write_json
from pipeline.artifact.video_table import table_entry
from pipeline.config import parse_settings
from pipeline.datasets import listing
from pipeline.errors import PipelineError
from pipeline.workflow.captioning_chain import CaptioningChain
from pipeline.workflow.trials import SEEDS

SUMMARY = "Caption a few videos by a finished experiment, without config.yaml."
INTERRUPTED, TERMINATED = 130, 143  # exit codes of shells: 128 and the number of the signal

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Caption the videos that the command line names.

    Args:
        arguments: The arguments after `caption`.

    Returns:
        The exit code: 0 if at least one video was captioned, 130 after Ctrl-C, otherwise 2.

    Raises:
        PipelineError: if the experiment is not finished, or the captions cannot be written.
        SystemExit: with 143, if SIGTERM comes.
    """
    chosen = parse(arguments)
    if chosen.out.suffix != ".json" or chosen.out.is_dir():
        raise PipelineError(
            f"--out {chosen.out}: expected the name of a .json file; the gallery becomes .html beside it"
        )
    chain, results = read_experiment(chosen.experiment)
    table, refused = video_table(chosen.videos)
    try:
        with terminable(), tempfile.TemporaryDirectory(prefix="clipgraph-caption-") as temporary:
            prediction = caption(chain, results, chosen.experiment / "model.safetensors", table, Path(temporary))
            prediction["missing"] |= refused
            write_json(chosen.out, prediction)
            write_gallery(chosen.out, Path(temporary))
    except KeyboardInterrupt:
        log.info("interrupted: nothing was kept")
        return INTERRUPTED
    return report(prediction, chosen.out)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse `videos`, `experiment` and `out`. All arguments after `--` are videos, whatever they begin with."""
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(prog="python -m pipeline caption", description=SUMMARY)
    parser.add_argument("videos", nargs="*", type=Path, metavar="VIDEO", help="a video file, or a folder of some")
    parser.add_argument(
        "--experiment", required=True, type=Path, metavar="DIR", help="a finished one: results/experiments/NAME"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="captions (JSON); a gallery (HTML) goes beside it"
    )
    chosen = parser.parse_intermixed_args(arguments[:end])
    chosen.videos += [Path(name) for name in arguments[end + 1 :]]
    if not chosen.videos:
        parser.error("which videos?")
    return chosen


def read_experiment(directory: Path) -> tuple[CaptioningChain, Path]:
    """Read the settings that an experiment stands on, and find the folder of the results that it is in.

    Args:
        directory: The experiment's folder.

    Raises:
        PipelineError: if a file is missing (says what makes it), if the settings are not what the workflow writes, or
            if this is no captioning experiment or its trial with another seed.
    """
    if directory.absolute().parent.name == SEEDS:
        raise PipelineError(
            f"--experiment {directory}: a trial with another seed: videos are captioned by the first one: name the "
            f"experiment itself, {directory.parent.parent}"
        )
    results = Path(os.path.abspath(directory)).parent.parent  # noqa: PTH100, a link may stand for the experiment
    own = [directory / "settings.json", directory / "model.safetensors"]
    _expect(own, [f"experiments/{directory.absolute().name}/{path.name}" for path in own])
    kind = read_json(own[0], ["kind"], "describe_experiment")["kind"]
    if kind != "captioning":
        raise PipelineError(f"{own[0]}: an experiment of kind {kind}: captions need one of kind captioning")
    content = read_json(own[0], list(CaptioningChain.model_fields), "describe_experiment")
    try:
        chain: CaptioningChain = parse_settings(CaptioningChain, json.dumps(content))
    except PipelineError as error:
        raise PipelineError(
            f"{own[0]}: {str(error).removeprefix('settings: ')}: delete it and run describe_experiment again"
        ) from error
    made = [*chain.weights.values(), *(path for path in (chain.embedding, chain.triplets) if path)]
    _expect([results / path for path in made], made)
    return chain, results


def _expect(paths: Sequence[Path], targets: Sequence[str]) -> None:
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


def caption(
    chain: CaptioningChain, results: Path, model: Path, table: dict[str, Any], temporary: Path
) -> dict[str, Any]:
    """Run the stages of an experiment on the videos of a table.

    Args:
        chain: The settings that the experiment stands on.
        results: Folder of the results, where the encoders' weights are.
        model: The captioner's model.safetensors.
        table: The video table.
        temporary: Folder for the artifacts.

    Returns:
        The prediction as `caption_videos` writes it: `experiment`, `videos`, `missing`.
    """
    videos = temporary / "videos.json"
    write_json(videos, table)
    nothing = {"experiment": chain.name, "videos": {}, "missing": {}}
    if not table["videos"]:
        return nothing
    log.info("%d videos for %s: loading", len(table["videos"]), chain.name)
    # torch_geometric imports parts of torch that newer versions call deprecated: our user can do nothing about it
    warnings.filterwarnings("ignore", message=".*torch.jit", category=FutureWarning)
    import torch  # noqa: F401  imported after the line above, because it is slow

    from pipeline.commands.shard_run import ShardRun

    shard = ShardRun(chain, results, model, videos, temporary)
    with redirect_stderr(cast("TextIO", SaysOnce(sys.stderr))):
        with redirect_stdout(sys.stderr):
            failed = shard.undecodable()
            if len(failed) == len(table["videos"]):
                return nothing | {"missing": failed}
            shard.prepare()
        return read_json(shard.captions(), list(nothing), "caption_videos")


def write_gallery(captions: Path, temporary: Path) -> None:
    """Write the gallery, an HTML page, beside the captions.

    Args:
        captions: The prediction (JSON).
        temporary: Folder that holds the video table.
    """
    from pipeline.stages import write_gallery as stage

    with redirect_stdout(sys.stderr):
        stage.run(captions=captions, videos=[temporary / "videos.json"], out=captions.with_suffix(".html"))


def report(prediction: dict[str, Any], out: Path) -> int:
    """Log which videos were not captioned and why, how many were, and where the captions are.

    Returns:
        The exit code: 0 if at least one video was captioned, otherwise 2.
    """
    videos, missing = prediction["videos"], prediction["missing"]
    for name, reason in missing.items():
        log.info("not captioned: %s: %s", name, reason)
    log.info(
        "%d of %d videos captioned: %s, %s", len(videos), len(videos) + len(missing), out, out.with_suffix(".html")
    )
    return 0 if videos else 2


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

"""Caption a few videos by a finished experiment, without config.yaml.

    python -m pipeline caption VIDEO... --experiment results/experiments/grid --out captions.json

The videos become one shard of a data set in a temporary folder, and the stages of the workflow run on it in this
process. Captions go to stdout as they are found, everything else to stderr. A table of them (CSV) and a gallery (HTML)
lie beside the JSON.
"""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, TypeAlias, cast

from pipeline.artifact import read_json, write_json
from pipeline.captioning.caption_table import is_table, write_table
from pipeline.commands.given_videos import (
    INTERRUPTED,
    SaysOnce,
    expect,
    first_trial,
    parse,
    read_chain,
    terminable,
    video_table,
)
from pipeline.errors import PipelineError
from pipeline.workflow.captioning_chain import CaptioningChain
from pipeline.workflow.map_captioning_chain import MapCaptioningChain

SUMMARY = "Caption a few videos by a finished experiment, without config.yaml."

Chain: TypeAlias = CaptioningChain | MapCaptioningChain
CHAINS: tuple[type[Chain], ...] = (CaptioningChain, MapCaptioningChain)  # of experiments that learn captions

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Caption the videos that the command line names.

    Args:
        arguments: The arguments after `caption`.

    Returns:
        The exit code: 0 if at least one video was captioned, 130 after Ctrl-C, otherwise 2.

    Raises:
        PipelineError: if the experiment is not finished, the captions cannot be written, or their table would replace
            another file.
        SystemExit: with 143, if SIGTERM comes.
    """
    chosen = parse(arguments, "caption", SUMMARY, "captions (JSON, and a table beside it, CSV)")
    table_of_captions = table_beside(chosen.out)
    chain, results = read_experiment(chosen.experiment)
    table, refused = video_table(chosen.videos)
    try:
        with terminable(), tempfile.TemporaryDirectory(prefix="clipgraph-caption-") as temporary:
            prediction = caption(chain, results, chosen.experiment / "model.safetensors", table, Path(temporary))
            prediction["missing"] |= refused
            write_json(chosen.out, prediction)
            write_table(table_of_captions, {name: video["caption"] for name, video in prediction["videos"].items()})
            write_gallery(chosen.out, Path(temporary), chain, results, chosen.experiment)
    except KeyboardInterrupt:
        log.info("interrupted: nothing was kept")
        return INTERRUPTED
    return report(prediction, chosen.out)


def table_beside(out: Path) -> Path:
    """Where the table of captions goes: beside the JSON, with `.csv` at its end.

    Raises:
        PipelineError: if another file is there, such as the captions that an experiment learned from.
    """
    table = out.with_suffix(".csv")
    if os.path.lexists(table) and not is_table(table):
        raise PipelineError(
            f"--out {out}: the captions go to {table}, too, which is there and no table of generated captions: choose "
            "another name"
        )
    return table


def read_experiment(directory: Path) -> tuple[Chain, Path]:
    """Read the settings that an experiment stands on, and find the folder of the results that it is in.

    Args:
        directory: The experiment's folder.

    Raises:
        PipelineError: if a file is missing (says what makes it), if the settings are not what the workflow writes, or
            if this is no captioning experiment or its trial with another seed.
    """
    results = first_trial(directory)
    chain = read_chain(directory, CHAINS, "captions")
    made = chain.files()
    expect([results / path for path in made], made)
    return chain, results


def caption(chain: Chain, results: Path, model: Path, table: dict[str, Any], temporary: Path) -> dict[str, Any]:
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

    from pipeline.commands.graph_shard_run import GraphShardRun
    from pipeline.commands.map_shard_run import MapShardRun

    shard: GraphShardRun | MapShardRun
    if isinstance(chain, CaptioningChain):
        shard = GraphShardRun(chain, results, model, videos, temporary)
    else:
        shard = MapShardRun(chain, results, model, videos, temporary)
    with redirect_stderr(cast("TextIO", SaysOnce(sys.stderr))):
        with redirect_stdout(sys.stderr):
            failed = shard.undecodable()
            if len(failed) == len(table["videos"]):
                return nothing | {"missing": failed}
            shard.read_by_captioner()
        return read_json(shard.captions(), list(nothing), "caption_videos")


def write_gallery(captions: Path, temporary: Path, chain: Chain, results: Path, experiment: Path) -> None:
    """Write the gallery, an HTML page, beside the captions.

    It tells how captions and clips stand among the experiment's test clips as far as the results still hold these; how
    clips look is told by graphs, which a captioner of maps has none of.

    Args:
        captions: The prediction (JSON).
        temporary: Folder that holds the video table and, if a video was captioned, the graphs.
        chain: The settings that the experiment stands on.
        results: Folder of the results.
        experiment: The experiment's folder.
    """
    from pipeline.stages import write_gallery as stage

    dataset = results / "datasets" / chain.experiment.dataset
    trained = f"graphs/{chain.experiment.graph}/[0-9]*.zarr/zarr.json" if isinstance(chain, CaptioningChain) else None
    with redirect_stdout(sys.stderr):
        stage.run(
            captions=captions,
            videos=[temporary / "videos.json"],
            graphs=there([temporary / "graphs.zarr/zarr.json"]),
            tested=there([experiment / "test/captions.json"]),
            trained_graphs=sorted(dataset.glob(trained)) if trained else [],
            references=there([dataset / "captions.json"]),
            out=captions.with_suffix(".html"),
        )


def there(paths: Sequence[Path]) -> list[Path]:
    """Of some files those that are there."""
    return [path for path in paths if path.is_file()]


def report(prediction: dict[str, Any], out: Path) -> int:
    """Log which videos were not captioned and why, how many were, and where the captions are.

    Returns:
        The exit code: 0 if at least one video was captioned, otherwise 2.
    """
    videos, missing = prediction["videos"], prediction["missing"]
    for name, reason in missing.items():
        log.info("not captioned: %s: %s", name, reason)
    beside = (out.with_suffix(end) for end in (".csv", ".html"))
    log.info("%d of %d videos captioned: %s, %s, %s", len(videos), len(videos) + len(missing), out, *beside)
    return 0 if videos else 2

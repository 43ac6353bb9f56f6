"""Recognize a few videos by a finished experiment, without config.yaml.

    python -m pipeline recognize VIDEO... --experiment results/experiments/tsm

The videos become one shard of a data set in a temporary folder, are decoded as the experiment's clips were, and the
views of each are merged by the mean of their logits, or of their probabilities for CAST. The likeliest classes go to
stdout, everything else to stderr.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from pipeline.artifact import write_json
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
from pipeline.config import ProbeSettings
from pipeline.errors import PipelineError
from pipeline.jobs.storage import replaced
from pipeline.workflow.recognition_chain import RecognitionChain

if TYPE_CHECKING:  # they import torch, which is slow, and mistakes in the flags come before it
    from numpy.typing import NDArray

    from pipeline.artifact.clip_store import ClipStore
    from pipeline.recognition.trained import Trained
    from pipeline.recognition.views import Merging

SUMMARY = "Say of a few videos which classes a finished experiment sees in them, without config.yaml."
OUT = Path("recognized.json")
TOP = 5  # classes that are told of each head
PAGE_BYTES = 40_000_000  # once the strips together have so many bytes, there are no more

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Recognize the videos that the command line names.

    Args:
        arguments: The arguments after `recognize`.

    Returns:
        The exit code: 0 if at least one video was recognized, 130 after Ctrl-C, otherwise 2.

    Raises:
        PipelineError: if the experiment is not finished, or what was found cannot be written.
        SystemExit: with 143, if SIGTERM comes.
    """
    chosen = parse(arguments, "recognize", SUMMARY, "classes and probabilities (JSON)", OUT)
    chain, experts = read_experiment(chosen.experiment)
    table, refused = video_table(chosen.videos)
    try:
        with terminable(), tempfile.TemporaryDirectory(prefix="clipgraph-recognize-") as temporary:
            found = recognize(chain, chosen.experiment / "model.safetensors", experts, table, Path(temporary))
            found["missing"] |= refused
            write_json(chosen.out, found)
            write_page(found, Path(temporary) / "clips.zarr", chosen.out.with_suffix(".html"))
    except KeyboardInterrupt:
        log.info("interrupted: nothing was kept")
        return INTERRUPTED
    return report(found, chosen.out)


def read_experiment(directory: Path) -> tuple[RecognitionChain, list[Path]]:
    """Read the settings that an experiment stands on, and find the weights of the experts of CAST, if it has some.

    Args:
        directory: The experiment's folder.

    Raises:
        PipelineError: if it is not finished, no recognition experiment, its trial with another seed, or a head on
            features that another experiment stores.
    """
    results = first_trial(directory)
    chain = read_chain(directory, [RecognitionChain], "classes")
    if isinstance(chain.recognizer, ProbeSettings):
        raise PipelineError(
            f"--experiment {directory}: a head on stored features, which new videos do not have: name the experiment "
            f"that stores them, {chain.recognizer.features}"
        )
    experts = chain.experts()
    expect([results / path for path in experts], experts)
    return chain, [results / path for path in experts]


def recognize(
    chain: RecognitionChain, model: Path, experts: Sequence[Path], table: dict[str, Any], temporary: Path
) -> dict[str, Any]:
    """Recognize the videos of a table.

    Args:
        chain: The settings that the experiment stands on.
        model: The recognizer's model.safetensors.
        experts: The weights of the experts of CAST; nothing for others.
        table: The video table.
        temporary: Folder for the clips, as `clips.zarr`.

    Returns:
        `experiment`, `videos` (for each id `path` and `top`: head to the `TOP` likeliest classes, each with `class` and
        `probability`), and `missing` (the reason for each video that was not recognized).
    """
    found: dict[str, Any] = {"experiment": chain.name, "videos": {}, "missing": {}}
    if not table["videos"]:
        return found
    log.info("%d videos for %s: loading", len(table["videos"]), chain.name)
    from pipeline.artifact.clip_store import ClipStore
    from pipeline.recognition.trained import read_trained
    from pipeline.recognition.views import merging_for
    from pipeline.stages import decode_clips

    videos, clips = temporary / "videos.json", temporary / "clips.zarr"
    write_json(videos, table)
    trained = read_trained(model, experts)
    settings = chain.clipping.model_copy(update={"on_bad_video": "record"})
    with redirect_stderr(cast("TextIO", SaysOnce(sys.stderr))), redirect_stdout(sys.stderr):
        decode_clips.run(videos, clips, settings, len(os.sched_getaffinity(0)))
        store = ClipStore([clips])
        found["missing"] |= store.failed
    paths = {video["id"]: video["path"] for video in table["videos"]}
    for clip_id, logits in logits_of(trained, store, chain):
        if isinstance(logits, str):
            found["missing"][clip_id] = logits
            continue
        top = likeliest(logits, trained.heads, merging_for(trained.settings.kind))
        found["videos"][clip_id] = {"path": paths[clip_id], "top": top}
        print(f"{clip_id}: {in_words(top)}", flush=True)
    return found


def logits_of(
    trained: "Trained", store: "ClipStore", chain: RecognitionChain
) -> Iterator[tuple[str, "NDArray[Any] | str"]]:
    """Compute the logits of the views of each clip, as `recognize_videos` does.

    Args:
        trained: The recognizer.
        store: The clips.
        chain: The settings, which say the views of a clip.

    Yields:
        The id of each clip and its logits `[V, K]`, or why it has none.
    """
    import torch

    from pipeline.errors import VideoError
    from pipeline.models.bf16_lstms import require_computable
    from pipeline.models.precision import announced_dtype, compute_device
    from pipeline.recognition.clip_views import protocol_of
    from pipeline.recognition.scored_views import ViewReader, ViewScorer

    assert not isinstance(chain.recognizer, ProbeSettings)  # as `read_experiment` checked
    views, settings = chain.recognizer.views, trained.settings
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    device = compute_device()
    dtype = announced_dtype(settings.training.precision, device, "the recognizer")
    require_computable(trained.model, device, dtype)
    scorer = ViewScorer(trained.model.to(device), views, dtype)
    reader = ViewReader(store, settings.frames, views, trained.colours, protocol_of(settings.kind))
    for clip_id in store.ids:
        (rows,) = scorer.score(reader.read([clip_id]))
        yield clip_id, str(rows) if isinstance(rows, VideoError) else rows.arrays["logits"]


def likeliest(
    logits_VK: "NDArray[Any]", heads: Mapping[str, Sequence[str]], how: "Merging" = "logits"
) -> dict[str, list[dict[str, Any]]]:
    """The likeliest classes of each head, with their probabilities.

    Args:
        logits_VK: Logits of the views for the classes of all heads, one head after another.
        heads: Names of the classes of each head.
        how: Whether the views are merged by the mean of their logits or of their probabilities.
    """
    import numpy as np

    from pipeline.recognition.views import merge, outputs_of, softmax

    ends = np.cumsum([len(classes) for classes in heads.values()])
    found = {}
    for (head, classes), own_VK in zip(heads.items(), np.split(logits_VK, ends[:-1], axis=1), strict=True):
        merged_K = merge(own_VK, how)
        shares_K = softmax(outputs_of(merged_K, how))
        order = np.argsort(-merged_K, kind="stable")[:TOP]
        found[head] = [{"class": classes[i], "probability": round(float(shares_K[i]), 6)} for i in order]
    return found


def in_words(top: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The likeliest classes in a line; heads are named where there are several."""
    told = {
        head: ", ".join(f"{row['class']} {100 * row['probability']:.0f} %" for row in rows)
        for head, rows in top.items()
    }
    return "; ".join(told.values() if len(told) == 1 else [f"{head}: {line}" for head, line in told.items()])


def write_page(found: Mapping[str, Any], clips: Path, out: Path) -> None:
    """Write the gallery, a page with a strip of frames of each video and its classes.

    Args:
        found: What `recognize` returns.
        clips: The store of the clips; it is not there if there is no video.
        out: Where the page goes (HTML).
    """
    from pipeline.artifact.clip_store import ClipStore
    from pipeline.report.frame_strips import strip_uri
    from pipeline.report.page import fill_in

    store = ClipStore([clips]) if found["videos"] else None
    shown, num_bytes = [], 0
    for clip_id, video in sorted(found["videos"].items()):
        strip = strip_uri(store, clip_id) if store is not None and num_bytes < PAGE_BYTES else None
        num_bytes += len(strip or "")
        shown.append(video | {"id": clip_id, "strip": strip})
    content = {"experiment": found["experiment"], "videos": shown, "missing": found["missing"]}
    with replaced(out) as new:
        new.write_text(fill_in("recognized.html.j2", content), encoding="utf-8")


def report(found: Mapping[str, Any], out: Path) -> int:
    """Log which videos were not recognized and why, how many were, and where the classes are.

    Returns:
        The exit code: 0 if at least one video was recognized, otherwise 2.
    """
    videos, missing = found["videos"], found["missing"]
    for name, reason in missing.items():
        log.info("not recognized: %s: %s", name, reason)
    log.info(
        "%d of %d videos recognized: %s, %s", len(videos), len(videos) + len(missing), out, out.with_suffix(".html")
    )
    return 0 if videos else 2

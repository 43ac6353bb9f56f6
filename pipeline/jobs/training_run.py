"""A run of a training: its folder, its lock, its checkpoint, and its outputs once it has ended.

A run has a folder that no rule declares, because Snakemake deletes declared outputs before it tries again. The folder
is named by a digest of settings, code and inputs, so a run with others has another folder. It holds

- the lock, so that one process writes at a time,
- the checkpoint, from which a training that was killed goes on to the same weights as if nothing had happened. The
  file begins with its digest and is renamed into place when it is on the disk, so that neither a kill nor a full disk
  leaves less than the last whole checkpoint,
- the outputs, once the run has ended. If Snakemake was dead by then, its next call takes the outputs in their places
  for incomplete and deletes them; they are put back from here instead of made again. They are hard links, which take no
  space while the outputs are there, or copies where the file system has no links.

The folder may be deleted at any time.
"""

import hashlib
import io
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from pipeline.jobs.rank_group import Ranks, joined_ranks
from pipeline.jobs.storage import replaced, sole_writer

log = logging.getLogger(__name__)

SECONDS_BETWEEN = 600.0  # a SIGKILL loses no more work than that; a checkpoint takes about a second
DIGEST_BYTES = hashlib.sha256().digest_size
LAST = "last.ckpt"
FINISHED = "finished"
DIGESTS = "digests.json"

State = dict[str, Any]


class TrainingRun:
    """A run of a training that this process works on.

    Args:
        folder: Folder of the run.
        ranks: All the processes that work on it.
        is_finished: Whether its outputs were made by an earlier call and are in their places again.
    """

    def __init__(self, folder: Path, ranks: Ranks, is_finished: bool) -> None:
        self.folder = folder
        self.ranks = ranks
        self.is_finished = is_finished
        self._saved = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether more than `SECONDS_BETWEEN` have passed since the last checkpoint, or since the start."""
        return time.monotonic() - self._saved > SECONDS_BETWEEN

    def read_checkpoint(self) -> State | None:
        """The checkpoint of an earlier call, tensors on the CPU and plain values; None if there is no whole one."""
        return read_checkpoint(self.folder / LAST)

    def write_checkpoint(self, state: State) -> None:
        """Put a checkpoint in the place of the last one. The first rank writes it, and the others go on.

        Args:
            state: Tensors and plain values.

        Raises:
            PipelineError: if the disk is full or closed to this user; the last checkpoint stays.
        """
        if self.ranks.is_first:
            write_checkpoint(self.folder / LAST, state)
        self._saved = time.monotonic()


@contextmanager
def training_run(checkpoints: Path, provenance: Mapping[str, Any], outputs: Sequence[Path]) -> Iterator[TrainingRun]:
    """Work on a run while no other process does; at the end, keep the outputs that the first rank has written.

    If the run has ended before, its outputs are put back and `is_finished` is true: then there is nothing to do.

    Args:
        checkpoints: Folder that holds every run's folder.
        provenance: All that decides the result, as JSON: settings, code, inputs.
        outputs: The files that the run makes, with different names.

    Raises:
        PipelineError: if a folder cannot be written to.
    """
    folder = run_folder(checkpoints, provenance)
    with joined_ranks() as ranks, sole_writer(folder / "lock", outputs[0]) if ranks.is_first else nullcontext():
        is_finished = ranks.from_first(ranks.is_first and _put_back(folder / FINISHED, outputs))
        yield TrainingRun(folder, ranks, is_finished)
        if ranks.is_first and not is_finished:
            _keep(folder / FINISHED, outputs)
            (folder / LAST).unlink(missing_ok=True)  # what is complete need not be continued; the logs stay


def run_folder(checkpoints: Path, provenance: Mapping[str, Any]) -> Path:
    """The folder of one run, whose name is a digest of its provenance.

    Args:
        checkpoints: Folder that holds every run's folder.
        provenance: All that decides the result, as JSON: settings, code, inputs.
    """
    text = json.dumps(provenance, sort_keys=True)
    return checkpoints / hashlib.sha256(text.encode()).hexdigest()[:16]


def write_checkpoint(path: Path, state: State) -> None:
    """Put a checkpoint in the place of the last one.

    Args:
        path: The file.
        state: Tensors and plain values.

    Raises:
        PipelineError: if the disk is full or closed to this user; the last checkpoint stays.
    """
    content = io.BytesIO()
    torch.save(state, content)
    with replaced(path, content.tell()) as new, new.open("wb") as file:
        file.write(hashlib.sha256(content.getbuffer()).digest())
        file.write(content.getbuffer())
        file.flush()
        os.fsync(file.fileno())  # the file must be on the disk before it is renamed, as the machine may go down


def read_checkpoint(path: Path) -> State | None:
    """Read a checkpoint: tensors on the CPU and plain values; None if there is none, or, with a warning, if damaged."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    reason = "its digest is another one"
    if hashlib.sha256(content[DIGEST_BYTES:]).digest() == content[:DIGEST_BYTES]:
        try:
            return dict(torch.load(io.BytesIO(content[DIGEST_BYTES:]), map_location="cpu", weights_only=True))
        except Exception as error:  # a foreign file: torch raises different errors for what is no tensor or plain value
            reason = (str(error).splitlines() or [type(error).__name__])[0]
    log.warning("%s cannot be used (%s): training starts afresh", path, reason)
    return None


def _keep(kept: Path, outputs: Sequence[Path]) -> None:
    """Link the outputs of a run that has ended into a folder, and write their digests beside them."""
    shutil.rmtree(kept, ignore_errors=True)
    for output in outputs:
        _link(output, kept / output.name)
    with replaced(kept / DIGESTS) as new:  # comes last, because outputs without digests are not put back
        new.write_text(json.dumps({output.name: _digest(output) for output in outputs}), encoding="utf-8")


def _put_back(kept: Path, outputs: Sequence[Path]) -> bool:
    """Put kept outputs back in their places if all of them have their digests; returns whether they had."""
    try:
        digests = json.loads((kept / DIGESTS).read_text(encoding="utf-8"))
        is_whole = digests == {output.name: _digest(kept / output.name) for output in outputs}
    except FileNotFoundError:
        return False
    except ValueError:
        is_whole = False
    if not is_whole:
        log.warning("%s is damaged: the training is done again", kept)
        return False
    for output in outputs:
        _link(kept / output.name, output)
    log.info("the training was complete already (%s): nothing is done again", kept)
    return True


def _link(source: Path, target: Path) -> None:
    """Link a file to another place, or copy it where links are refused."""
    if target.exists() and source.samefile(target):
        return  # renaming a link to a file over another link to it does nothing, and leaves both
    with replaced(target) as new:
        new.unlink(missing_ok=True)
        try:
            os.link(source, new)
        except OSError:  # another file system, or one without links
            shutil.copyfile(source, new)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

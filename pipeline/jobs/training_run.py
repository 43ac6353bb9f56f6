"""Checkpoints: what a training that was killed goes on from, to the same weights as if nothing had happened.

They are in a folder that no rule declares, because Snakemake deletes declared outputs before it tries again. The folder
bears the key of the run: other settings, code or inputs make another one. A file begins with its digest and is renamed
into place when it is on the disk, so that neither a kill nor a full disk leaves less than the last whole checkpoint.
"""

import hashlib
import io
import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from pipeline.jobs import preemption
from pipeline.jobs.storage import replaced

SECONDS_BETWEEN = 600.0  # so much work is lost to a SIGKILL at most; a checkpoint takes about a second
DIGEST_BYTES = hashlib.sha256().digest_size
LAST = "last.ckpt"

State = dict[str, Any]


def run_folder(checkpoints: Path, made_from: Mapping[str, Any]) -> Path:
    """The folder of one run.

    Args:
        checkpoints: That of all runs.
        made_from: All that decides the result, as JSON: settings, code, inputs.
    """
    text = json.dumps(made_from, sort_keys=True)
    return checkpoints / hashlib.sha256(text.encode()).hexdigest()[:16]


def write_checkpoint(path: Path, state: State) -> None:
    """Put a checkpoint in the place of the last one.

    Raises:
        PipelineError: The disk is full or closed to this user; the last checkpoint stays.
    """
    content = io.BytesIO()
    torch.save(state, content)
    with replaced(path, content.tell()) as new, new.open("wb") as file:
        file.write(hashlib.sha256(content.getbuffer()).digest())
        file.write(content.getbuffer())
        file.flush()
        os.fsync(file.fileno())  # a machine that goes down must not have renamed what is not there


def read_checkpoint(path: Path) -> State | None:
    """What a checkpoint holds: tensors and plain values on the CPU; None if there is none or it is damaged."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    reason = "its digest is another one"
    if hashlib.sha256(content[DIGEST_BYTES:]).digest() == content[:DIGEST_BYTES]:
        try:
            return dict(torch.load(io.BytesIO(content[DIGEST_BYTES:]), map_location="cpu", weights_only=True))
        except Exception as error:  # not written here: of what else than tensors it may hold, torch complains variously
            reason = (str(error).splitlines() or [type(error).__name__])[0]
    print(f"{path} cannot be used ({reason}): training starts afresh", file=sys.stderr)
    return None


class Checkpoints:
    """The checkpoint of a training in one process, which is written now and then and when SIGTERM has come.

    Args:
        checkpoints: Folder of all runs.
        made_from: All that decides the result.
    """

    def __init__(self, checkpoints: Path, made_from: Mapping[str, Any]) -> None:
        self.folder = run_folder(checkpoints, made_from)
        self.path = self.folder / LAST
        self.written = time.monotonic()

    def read(self) -> State | None:
        """What an earlier call left."""
        return read_checkpoint(self.path)

    @property
    def are_due(self) -> bool:
        """Whether one should be written now."""
        return preemption.sigterm_received() or time.monotonic() - self.written > SECONDS_BETWEEN

    def write(self, state: State, place: str) -> None:
        """Write the state, and end the process if SIGTERM has come.

        Args:
            state: Tensors and plain values.
            place: How far it got, as in "after step 12 of epoch 3".

        Raises:
            PipelineError: There is no room for it.
            Preempted: SIGTERM has come.
        """
        write_checkpoint(self.path, state)
        self.written = time.monotonic()
        preemption.stop_if_requested(place)

    def remove(self) -> None:
        """Forget the checkpoint of a run that is complete."""
        self.path.unlink(missing_ok=True)
        with suppress(OSError):  # other runs' stay, and the outputs that are kept
            self.folder.rmdir()
            self.folder.parent.rmdir()

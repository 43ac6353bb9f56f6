"""Outputs of a training that ended well while Snakemake was dead: put back instead of made again.

Snakemake takes them for incomplete and deletes them. So the folder of the run, which it does not know, holds them a
second time: as links, which take no room while the outputs are there. The folder may be deleted at any time.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.jobs.storage import replaced

FOLDER = "finished"
DIGESTS = "digests.json"


def keep(run: Path, outputs: Sequence[Path]) -> None:
    """Keep the outputs of a run.

    Args:
        run: Its folder, from `pipeline.jobs.training_run.run_folder`.
        outputs: Its files, with different names.
    """
    kept = run / FOLDER
    shutil.rmtree(kept, ignore_errors=True)
    for output in outputs:
        _copy(output, kept / output.name)
    with replaced(kept / DIGESTS) as new:  # the last: without it there is nothing
        new.write_text(json.dumps({output.name: _digest(output) for output in outputs}), encoding="utf-8")


def is_finished(run: Path, outputs: Sequence[Path]) -> bool:
    """Whether a run has ended and all its outputs are kept, as they were written."""
    kept = run / FOLDER
    try:
        digests = json.loads((kept / DIGESTS).read_text(encoding="utf-8"))
        is_whole: bool = digests == {output.name: _digest(kept / output.name) for output in outputs}
    except FileNotFoundError:
        return False
    except ValueError:
        is_whole = False
    if not is_whole:
        print(f"{kept} is damaged: the training is done again", file=sys.stderr)
    return is_whole


def put_back(run: Path, outputs: Sequence[Path]) -> None:
    """Put the outputs of a finished run in their places."""
    for output in outputs:
        _copy(run / FOLDER / output.name, output)
    print(f"the training was complete already ({run / FOLDER}): nothing is done again", file=sys.stderr)


def _copy(source: Path, target: Path) -> None:
    """Link a file to another place, or copy it where links are refused."""
    if target.exists() and source.samefile(target):
        return  # renaming one link over another would do nothing, and leave both
    with replaced(target) as new:
        new.unlink(missing_ok=True)
        try:
            os.link(source, new)
        except OSError:  # another file system, or one without links
            shutil.copyfile(source, new)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Say where weights come from, in the words that stand as `origin` in the metadata of their file.

random                              drawn from a seed, or drawn and calibrated: never trained
file NAME sha256 DIGEST             imported from a file
open_clip ARCH TAG                  downloaded by open_clip
trained on DATASET from ORIGIN      trained further by this workflow; or `fine-tuned` (CLIP4Clip), `pre-trained`
"""

import hashlib
import re
from pathlib import Path

RANDOM = "random"
IMPORTED = re.compile(r"(?:^| from )file (?P<name>.+) sha256 (?P<sha256>[0-9a-f]{64})$")


def from_file(path: Path) -> str:
    """The origin of weights that were read from a file, which is read once more for its digest."""
    with path.open("rb") as file:
        return f"file {path.name} sha256 {hashlib.file_digest(file, 'sha256').hexdigest()}"


def from_tag(arch: str, tag: str) -> str:
    """The origin of weights that open_clip downloaded."""
    return f"open_clip {arch} {tag}"


def after_training(how: str, dataset: str, start: str) -> str:
    """The origin of weights that this workflow trained.

    Args:
        how: `trained`, `fine-tuned` or `pre-trained`.
        dataset: Name of the data set that they were trained on.
        start: The origin of the weights that the training began with.
    """
    return f"{how} on {dataset} from {start}"


def is_untrained(origin: str) -> bool:
    """Whether weights of this origin have never seen a training example."""
    return origin.startswith(RANDOM)


def imported_file(origin: str) -> tuple[str, str] | None:
    """Name and SHA-256 of the file that weights come from, directly or by a training; None if from no file."""
    found = IMPORTED.search(origin)
    return (found["name"], found["sha256"]) if found else None

"""The file that `build_vocabulary` writes.

Reading it stands apart from the model file, so that the digest of scoring does not change with the models.
"""

from pathlib import Path

from pipeline.artifact import read_json
from pipeline.vocabulary import Vocabulary


def read_vocabulary(path: Path) -> Vocabulary:
    """Read what `build_vocabulary` wrote."""
    content = read_json(path, ["words", "max_words"], "build_vocabulary")
    return Vocabulary(tuple(content["words"]), int(content["max_words"]))

"""The file that `build_vocabulary` writes.

The reader has a module of its own, apart from the model file, so that the code digest of scoring does not change with
the models.
"""

from pathlib import Path

from pipeline.artifact import read_json
from pipeline.vocabulary import Vocabulary


def read_vocabulary(path: Path) -> Vocabulary:
    """Read the vocabulary that `build_vocabulary` wrote.

    Raises:
        ArtifactError: The file is missing, or is not what `build_vocabulary` writes.
    """
    content = read_json(path, ["words", "max_words"], "build_vocabulary")
    return Vocabulary(tuple(content["words"]), int(content["max_words"]))

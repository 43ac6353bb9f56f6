"""The vocabulary as `build_vocabulary` wrote it. Apart from the model file, so that scoring does not depend on models."""

from pathlib import Path

from pipeline.artifact import read_json
from pipeline.vocabulary import Vocabulary


def read_vocabulary(path: Path) -> Vocabulary:
    """Read what `build_vocabulary` wrote."""
    content = read_json(path, ["words", "max_words"], "build_vocabulary")
    return Vocabulary(tuple(content["words"]), int(content["max_words"]))

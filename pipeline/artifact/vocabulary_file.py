"""The file that `build_vocabulary` writes.

The reader has a module of its own, apart from the model file, so that the code digest of scoring does not change with
the models.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pipeline.artifact import read_json
from pipeline.errors import PipelineError
from pipeline.vocabulary import Tokenizer, Vocabulary


def read_vocabulary(path: Path) -> Vocabulary:
    """Read the vocabulary that `build_vocabulary` wrote.

    Raises:
        PipelineError: The file is missing, or is not what `build_vocabulary` writes.
    """
    content = read_json(path, ["words", "max_words"], "build_vocabulary")
    try:
        return vocabulary_of(content)
    except (TypeError, ValueError) as error:
        raise PipelineError(f"{path} is no vocabulary ({error}): run build_vocabulary again") from error


def vocabulary_of(content: Mapping[str, Any]) -> Vocabulary:
    """The vocabulary that a file holds: that of `build_vocabulary`, or the description of a captioner's model.

    Raises:
        TypeError, ValueError: A value is of another kind.
    """
    tokenizer = content.get("tokenizer", "bare")  # files that do not say it were written when there was no other
    if tokenizer not in get_args(Tokenizer):
        raise ValueError(f"`tokenizer: {tokenizer}`: expected {' or '.join(get_args(Tokenizer))}")
    spellings = dict(content.get("spellings", {}))
    if not all(isinstance(text, str) for text in (*content["words"], *spellings, *spellings.values())):
        raise TypeError("a word is no text")
    return Vocabulary(tuple(content["words"]), int(content["max_words"]), tokenizer, spellings)


def contents_of(vocabulary: Vocabulary) -> dict[str, Any]:
    """What a file holds of a vocabulary, from which `vocabulary_of` makes it again."""
    return {
        "words": list(vocabulary.words),
        "max_words": vocabulary.max_words,
        "tokenizer": vocabulary.tokenizer,
        "spellings": dict(vocabulary.spellings),
    }

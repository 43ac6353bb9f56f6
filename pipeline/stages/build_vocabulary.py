"""Number the words of the training captions: AKG-sv's vocabulary, but from the training split alone."""

import logging
from collections.abc import Sequence
from pathlib import Path

from pipeline.artifact import read_json, write_json
from pipeline.artifact.vocabulary_file import contents_of
from pipeline.config import VocabularySettings
from pipeline.errors import PipelineError
from pipeline.scoring.tokenising import find_spellings, split_all
from pipeline.vocabulary import SPECIAL, Vocabulary, count_words, is_unspaced

NUM_SHOWN = 5  # words that a message spells out

log = logging.getLogger(__name__)


def run(*, captions: Path, out: Path, settings: VocabularySettings) -> None:
    """Collect the words that occur often enough in the captions of the training split.

    Args:
        captions: The data set's captions.json: captions and splits.
        out: Where the vocabulary goes (JSON): `words`, a list in which the position of a word is its token;
            `max_words`; `tokenizer`; and `spellings`, how a caption spells words that differ from it.
        settings: How captions are split, how often a word must occur, and how many words of a caption count.

    Raises:
        PipelineError: No word occurs often enough, or the captions are in a script without spaces between words and
            the tokenizer goes by spaces.
    """
    dataset = read_json(captions, ["captions", "splits"], "index_captions")
    train = [text for video_id in dataset["splits"].get("train", []) for text in dataset["captions"].get(video_id, [])]
    if settings.tokenizer != "characters":
        require_spaces(train, captions, settings.tokenizer)
    words = count_words(split_all(train, settings.tokenizer), settings.min_count, settings.max_words)
    if not words:
        raise PipelineError(
            f"{captions}: no word occurs {settings.min_count} times in the {len(train)} captions of split 'train'; "
            "lower `min_count` or check the splits"
        )
    write_json(out, contents_of(vocabulary_of(words, settings)))


def vocabulary_of(words: Sequence[str], settings: VocabularySettings) -> Vocabulary:
    """Make the vocabulary of some words; those that the scorer would never read in a caption are left out of it."""
    spellings = find_spellings(words) if settings.tokenizer == "ptb" else {word: word for word in words}
    unread = [word for word in words if word not in spellings]
    if unread:
        log.warning(
            "%d words are unknown to the captioner, because the scorer's tokenizer reads them in no caption: %s",
            len(unread),
            ", ".join(unread[:NUM_SHOWN]),
        )
    known = (*SPECIAL, *(word for word in words if word in spellings))
    other = {word: spelling for word, spelling in spellings.items() if spelling != word}
    return Vocabulary(known, settings.max_words, settings.tokenizer, other)


def require_spaces(train: Sequence[str], captions: Path, tokenizer: str) -> None:
    """Raise PipelineError if most captions are in a script that puts no space between words."""
    unspaced = [text for text in train if is_unspaced(text)]
    if 2 * len(unspaced) > len(train):
        raise PipelineError(
            f"{captions}: {len(unspaced)} of {len(train)} training captions put no space between words, such as "
            f"'{unspaced[0][:40]}', so that `tokenizer: {tokenizer}` would take a sentence for one word: write "
            "`tokenizer: characters` in this entry of `vocabularies`"
        )

"""Number the words of the training captions: AKG-sv's vocabulary, but from the training split alone."""

from pathlib import Path

from pipeline.artifact import read_json, write_json
from pipeline.config import VocabularySettings
from pipeline.errors import PipelineError
from pipeline.vocabulary import SPECIAL, count_words


def run(*, captions: Path, out: Path, settings: VocabularySettings) -> None:
    """Collect the words that occur often enough in the captions of the training split.

    Args:
        captions: The data set's captions.json: captions and splits.
        out: Where the vocabulary goes (JSON): `words`, a list in which the position of a word is its token, and
            `max_words`.
        settings: How often a word must occur, and how many words of a caption count.

    Raises:
        PipelineError: No word occurs often enough.
    """
    dataset = read_json(captions, ["captions", "splits"], "index_captions")
    train = [text for video_id in dataset["splits"].get("train", []) for text in dataset["captions"].get(video_id, [])]
    vocabulary = count_words(train, settings.min_count, settings.max_words)
    if len(vocabulary) == len(SPECIAL):
        raise PipelineError(
            f"{captions}: no word occurs {settings.min_count} times in the {len(train)} captions of split 'train'; "
            "lower `min_count` or check the splits"
        )
    write_json(out, {"words": list(vocabulary.words), "max_words": vocabulary.max_words})

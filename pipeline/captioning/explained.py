"""What is explained: videos that are drawn of a split, and the words of their captions as the captioner knows them."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.artifact import read_json
from pipeline.errors import PipelineError
from pipeline.scoring.tokenising import split_all
from pipeline.vocabulary import Vocabulary


class ExplainedCaption(NamedTuple):
    """A caption that is explained.

    Attributes:
        words: Its words, as the vocabulary's tokenizer splits it.
        tokens: Their numbers in the vocabulary.
    """

    words: tuple[str, ...]
    tokens: tuple[int, ...]


def explained_captions(
    captions: Path, vocabulary: Vocabulary, known: Collection[str], number: int | None, seed: int
) -> dict[str, ExplainedCaption]:
    """Draw the videos whose captions are explained, and split these into words.

    Args:
        captions: The captions.json of `generate_captions`.
        vocabulary: The words of the captioner that made them.
        known: Videos that the captioner can read.
        number: How many are drawn; None for all.
        seed: Of the draw.

    Returns:
        The captions by video, in the order of the file.

    Raises:
        PipelineError: No video has both a caption and what the captioner reads, or another captioner made the captions.
    """
    texts = read_json(captions, ["captions"], "generate_captions")["captions"]
    there = [video_id for video_id in texts if video_id in known]
    if not there:
        raise PipelineError(
            f"{captions}: none of its {len(texts)} videos has what the captioner reads: run generate_captions again "
            f"(snakemake {captions})"
        )
    return known_words(captions, {i: texts[i] for i in draw_videos(there, number, seed)}, vocabulary)


def known_words(captions: Path, texts: Mapping[str, str], vocabulary: Vocabulary) -> dict[str, ExplainedCaption]:
    """Split captions into words that a captioner knows.

    Args:
        captions: The file that they are in, for messages.
        texts: The captions by video.
        vocabulary: The words of the captioner.

    Raises:
        PipelineError: The captioner does not know a word.
    """
    token_of = {word: token for token, word in enumerate(vocabulary.words)}
    found = {}
    for video_id, words in zip(texts, split_all(list(texts.values()), vocabulary.tokenizer), strict=True):
        unknown = [word for word in words if word not in token_of]
        if unknown:
            raise PipelineError(
                f"{captions}: video {video_id}: the captioner does not know the word {unknown[0]!r} of its caption: "
                f"run generate_captions again (snakemake {captions})"
            )
        found[video_id] = ExplainedCaption(tuple(words), tuple(token_of[word] for word in words))
    return found


def caption_words(
    captions: Path, told: Mapping[str, Any], num_words: Mapping[str, int], stage: str
) -> dict[str, list[str]]:
    """Split the captions of explained videos into words again.

    Args:
        captions: The captions.json of `generate_captions`, for messages.
        told: Its content.
        num_words: How many words of each video are explained.
        stage: The stage that explained them.

    Raises:
        PipelineError: A caption is not there, or has another number of words than are explained.
    """
    texts = [told["captions"].get(video_id, "") for video_id in num_words]
    found = dict(zip(num_words, split_all(texts, told["tokenizer"]), strict=True))
    for video_id, words in found.items():
        if len(words) != num_words[video_id]:
            raise PipelineError(
                f"{captions}: video {video_id}: its caption has {len(words)} words, but {num_words[video_id]} are "
                f"explained: run {stage} again"
            )
    return found


def draw_videos(ids: Sequence[str], number: int | None, seed: int) -> list[str]:
    """Draw videos by their ids, so that the draw of one does not depend on the others; they keep their order."""
    order = sorted(ids, key=lambda video_id: hashlib.sha256(f"explained {seed} {video_id}".encode()).digest())
    drawn = set(order[:number])
    return [video_id for video_id in ids if video_id in drawn]

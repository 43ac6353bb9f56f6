"""Turn action graphs into captions, and what a search finds with a captioner of any kind."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from torch import nn

from pipeline.captioning.beam_search import Search
from pipeline.captioning.bidirectional_search import search_batch
from pipeline.captioning.captioner import Captioner
from pipeline.config import DecodingSettings
from pipeline.models.action_graph import batch_graphs
from pipeline.vocabulary import Vocabulary


class Caption(NamedTuple):
    """A generated caption.

    Attributes:
        text: The caption.
        score: Its log-probability, divided by the number of words to the power of the length penalty. With two
            directions, the log-probability is that of the left-to-right decoder.
        right_to_left: The best caption of the right-to-left decoder, turned into reading order; None if the captioner
            has no such decoder.
        samples: Captions drawn by nucleus sampling; empty if the settings ask for none.
        words: The words of the caption, as the vocabulary's tokenizer splits it.
    """

    text: str
    score: float
    right_to_left: str | None
    samples: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def caption_graphs(
    model: Captioner,
    vocabulary: Vocabulary,
    graphs: Sequence[Any],
    settings: DecodingSettings,
    ids: Sequence[str] | None = None,
) -> list[Caption]:
    """Generate a caption for each action graph.

    Args:
        model: The captioner, on any device. It works in evaluation mode and gets its former mode back at the end.
        vocabulary: The words that the model was trained with.
        graphs: Action graphs of any videos.
        settings: How captions are searched for and drawn.
        ids: Ids of the videos. The samples of a video depend on its id or, if no ids are given, on its place in
            `graphs`.

    Returns:
        One caption for each graph, in the order of `graphs`.
    """
    return list(iterate_captions(model, vocabulary, graphs, settings, ids))


def iterate_captions(
    model: Captioner,
    vocabulary: Vocabulary,
    graphs: Sequence[Any],
    settings: DecodingSettings,
    ids: Sequence[str] | None = None,
) -> Iterator[Caption]:
    """Yield the captions of `caption_graphs` one by one; each batch of `graphs` is read only when its turn comes."""
    device = next(model.parameters()).device

    def found(numbers: range) -> Search:
        batch = batch_graphs([graphs[number] for number in numbers]).to(device)
        return search_batch(model, batch, settings, names_of(numbers, ids))

    return captions_of(model, vocabulary, found, len(graphs), settings.batch_size)


def names_of(numbers: range, ids: Sequence[str] | None) -> list[str]:
    """What the samples of some videos are drawn by: their ids, or their numbers where there are none."""
    return [str(number) if ids is None else ids[number] for number in numbers]


def captions_of(
    model: nn.Module, vocabulary: Vocabulary, search: Callable[[range], Search], num_videos: int, batch_size: int
) -> Iterator[Caption]:
    """Yield the captions of videos one by one, whatever the kind of captioner.

    Args:
        model: The captioner. It works in evaluation mode and gets its former mode back at the end.
        vocabulary: The words that the model was trained with.
        search: From the numbers of the videos of a batch to what the search finds for them.
        num_videos: Number of videos.
        batch_size: Most videos of a batch.
    """
    training = model.training
    model.eval()
    try:
        for start in range(0, num_videos, batch_size):
            numbers = range(start, min(start + batch_size, num_videos))
            found = search(numbers)
            best, scores = found.best.tokens_GL.tolist(), found.best.score_G.tolist()
            samples = [[]] * len(numbers) if found.samples_GWL is None else found.samples_GWL.tolist()
            backward = None if found.right_to_left is None else found.right_to_left.tokens_GL.tolist()
            for i in range(len(numbers)):
                texts = tuple(vocabulary.decode(tokens) for tokens in samples[i])
                turned = None if backward is None else vocabulary.decode(backward[i][::-1])
                words = tuple(vocabulary.words_of(best[i]))
                yield Caption(vocabulary.decode(best[i]), scores[i], turned, texts, words)
    finally:
        model.train(training)

"""Action graphs to captions, by a captioner of any kind."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pipeline.captioning.bidirectional_search import search_batch
from pipeline.captioning.captioner import Captioner
from pipeline.config import DecodingSettings
from pipeline.models.action_graph import batch_graphs
from pipeline.vocabulary import Vocabulary


class Caption(NamedTuple):
    """A generated caption.

    Attributes:
        text: The caption.
        score: Its log-probability (of a captioner with two directions, by the left-to-right decoder), divided by the
            number of words to the power of the length penalty.
        right_to_left: The best caption of the right-to-left decoder, turned round to be read; None for a captioner
            without one.
        samples: Further captions, drawn; none unless asked for.
    """

    text: str
    score: float
    right_to_left: str | None
    samples: tuple[str, ...] = ()


def caption_graphs(
    model: Captioner,
    vocabulary: Vocabulary,
    graphs: Sequence[Any],
    settings: DecodingSettings,
    ids: Sequence[str] | None = None,
) -> list[Caption]:
    """Caption action graphs.

    Args:
        model: On any device; it is put into evaluation mode and left in the mode it was in.
        vocabulary: The words it was trained with.
        graphs: Action graphs, of any videos.
        settings: How captions are searched for.
        ids: Of the videos. What is drawn for a video follows from its id; without ids, from its place in `graphs`.

    Returns:
        One caption a graph, in order.
    """
    return list(iterate_captions(model, vocabulary, graphs, settings, ids))


def iterate_captions(
    model: Captioner,
    vocabulary: Vocabulary,
    graphs: Sequence[Any],
    settings: DecodingSettings,
    ids: Sequence[str] | None = None,
) -> Iterator[Caption]:
    """As `caption_graphs`, batch by batch; of `graphs` only a batch at a time is asked for."""
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        for start in range(0, len(graphs), settings.batch_size):
            numbers = range(start, min(start + settings.batch_size, len(graphs)))
            batch = batch_graphs([graphs[number] for number in numbers]).to(device)
            # A captioner of another kind has a search of its own, which is chosen here by the model's class.
            found = search_batch(model, batch, settings, [ids[n] if ids is not None else str(n) for n in numbers])
            best, scores = found.best.tokens_GL.tolist(), found.best.score_G.tolist()
            samples = [[]] * len(numbers) if found.samples_GWL is None else found.samples_GWL.tolist()
            backward = None if found.right_to_left is None else found.right_to_left.tokens_GL.tolist()
            for i in range(len(numbers)):
                texts = tuple(vocabulary.decode(tokens) for tokens in samples[i])
                turned = None if backward is None else vocabulary.decode(backward[i][::-1])
                yield Caption(vocabulary.decode(best[i]), scores[i], turned, texts)
    finally:
        model.train(training)

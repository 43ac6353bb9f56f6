"""Beam search for captions, many videos at once.

The right-to-left caption is searched first. The left-to-right search then attends to the hidden states of the best
*finished* right-to-left caption of its video, masked as in training (the published code attends to whichever unfinished
prefix happened to survive). Scores are plain sums of log-probabilities, without a length penalty, as in AKG-sv and BTKG
(doi 10.1007/s11042-023-17822-4). They only ever fall, so a video is done when no live beam beats its best finished
caption, and what other videos of the batch still need cannot change it.

Shapes: G videos, W beams, S tokens so far, L tokens at most, V words, D width.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pipeline.config import DecodingSettings
from pipeline.models.captioner import Captioner, Context, Decoder
from pipeline.training.vocabulary import BOS, EOS, NEVER_GENERATED, PAD, Vocabulary


class Caption(NamedTuple):
    """A generated caption.

    Attributes:
        text: The caption.
        score: Its log-probability.
        right_to_left: The best caption of the right-to-left decoder, turned round to be read.
    """

    text: str
    score: float
    right_to_left: str


class Found(NamedTuple):
    """The best finished caption of each video: `<bos>` and words, padded, `[G, L]`, and its log-probability `[G]`."""

    tokens_GL: Tensor
    score_G: Tensor


def caption_graphs(
    model: Captioner, vocabulary: Vocabulary, graphs: Sequence[Any], settings: DecodingSettings
) -> list[Caption]:
    """Caption action graphs.

    Args:
        model: On any device; it is put into evaluation mode and left in the mode it was in.
        vocabulary: The words it was trained with.
        graphs: Action graphs, of any videos.
        settings: Beams, longest caption, graphs at a time.

    Returns:
        One caption a graph, in order.
    """
    return list(iterate_captions(model, vocabulary, graphs, settings))


def iterate_captions(
    model: Captioner, vocabulary: Vocabulary, graphs: Sequence[Any], settings: DecodingSettings
) -> Iterator[Caption]:
    """As `caption_graphs`, batch by batch; of `graphs` only a batch at a time is asked for."""
    device = model.generator.weight.device
    training = model.training
    model.eval()
    try:
        for start in range(0, len(graphs), settings.batch_size):
            several = [graphs[number] for number in range(start, min(start + settings.batch_size, len(graphs)))]
            batch = Batch.from_data_list(several, follow_batch=["motion"]).to(device)
            right_to_left, left_to_right = search_batch(model, batch, settings.beam, settings.max_words)
            rows = zip(
                right_to_left.tokens_GL.tolist(),
                left_to_right.tokens_GL.tolist(),
                left_to_right.score_G.tolist(),
                strict=True,
            )
            for backward, forward, score in rows:
                yield Caption(vocabulary.decode(forward), score, vocabulary.decode(backward[::-1]))
    finally:
        model.train(training)


@torch.inference_mode()
def search_batch(model: Captioner, graphs: Any, num_beams: int, max_words: int) -> tuple[Found, Found]:
    """Search right to left, then left to right in the light of what was found.

    Args:
        model: In evaluation mode.
        graphs: `Batch.from_data_list(graphs, follow_batch=["motion"])` on the model's device.
        num_beams: W.
        max_words: Longest caption.

    Returns:
        The best captions of the right-to-left decoder, last word first, and of the left-to-right decoder.
    """
    memory = model.encode(graphs)
    backward, forward = model.decoder_right_to_left, model.decoder_left_to_right
    frames = backward.context(0, memory.right_to_left_GTD, memory.mask_GT)
    right_to_left = search(model, backward, [frames], num_beams, max_words)
    states_GLD, _ = backward(model.embed(right_to_left.tokens_GL), [frames])
    contexts = [
        forward.context(0, memory.left_to_right_GTD, memory.mask_GT),
        forward.context(1, states_GLD, right_to_left.tokens_GL != PAD),
    ]
    return right_to_left, search(model, forward, contexts, num_beams, max_words)


def search(model: Captioner, decoder: Decoder, contexts: list[list[Context]], num_beams: int, max_words: int) -> Found:
    """Beam search with one decoder.

    Args:
        model: Gives embedding and generator.
        decoder: The direction.
        contexts: What it attends to, one row a video.
        num_beams: W, at least 1.
        max_words: A caption of so many words must end.

    Returns:
        The best finished caption of each video; it has at least one word.
    """
    mask = contexts[0][0].mask
    num_videos, device = len(mask), mask.device
    first_row_G1 = torch.arange(num_videos, device=device)[:, None] * num_beams
    tokens_GWS = torch.full((num_videos, num_beams, 1), BOS, device=device)
    score_GW = torch.full((num_videos, num_beams), -torch.inf, device=device)
    score_GW[:, 0] = 0
    best = Found(
        torch.full((num_videos, max_words + 1), PAD, device=device),
        torch.full((num_videos,), -torch.inf, device=device),
    )
    past = None
    for num_words in range(max_words + 1):
        x_R1D = model.embed(tokens_GWS[:, :, -1].reshape(-1, 1), first=num_words)
        states_R1D, past = decoder(x_R1D, contexts, past)
        log_probs_GWV = model.generator(states_R1D).float().log_softmax(2).view(num_videos, num_beams, -1)
        log_probs_GWV[:, :, NEVER_GENERATED] = -torch.inf
        if num_words > 0:
            best = keep_better(best, tokens_GWS, score_GW + log_probs_GWV[:, :, EOS])
        if num_words == max_words:
            break
        log_probs_GWV[:, :, EOS] = -torch.inf
        score_GW, choice_GW = (score_GW[:, :, None] + log_probs_GWV).flatten(1).topk(num_beams)
        if bool((best.score_G >= score_GW[:, 0]).all()):
            break
        beam_GW = choice_GW // log_probs_GWV.shape[2]
        word_GW = choice_GW % log_probs_GWV.shape[2]
        tokens_GWS = torch.cat([_of_beams(tokens_GWS, beam_GW), word_GW[:, :, None]], 2)
        past = [keys_values.take((first_row_G1 + beam_GW).flatten()) for keys_values in past]
    return best


def keep_better(best: Found, tokens_GWS: Tensor, ended_GW: Tensor) -> Found:
    """The better of the best captions so far and of those that end now.

    Args:
        best: The best so far.
        tokens_GWS: Tokens of the beams.
        ended_GW: Their scores if they end here.
    """
    score_G, beam_G = ended_GW.max(1)
    tokens_GL = torch.full_like(best.tokens_GL, PAD)
    tokens_GL[:, : tokens_GWS.shape[2]] = _of_beams(tokens_GWS, beam_G[:, None])[:, 0]
    is_better_G = score_G > best.score_G
    return Found(
        torch.where(is_better_G[:, None], tokens_GL, best.tokens_GL), torch.where(is_better_G, score_G, best.score_G)
    )


def _of_beams(tokens_GWS: Tensor, beam_GX: Tensor) -> Tensor:
    return tokens_GWS.gather(1, beam_GX[:, :, None].expand(-1, -1, tokens_GWS.shape[2]))

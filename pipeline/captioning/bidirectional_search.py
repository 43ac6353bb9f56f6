"""Search with the bidirectional captioner: right to left first, then left to right with the result in view.

The left-to-right search attends to the hidden states of the best *finished* right-to-left caption of its video, masked
as in training (the published code attends to whichever unfinished prefix happened to survive). `rerank: both` chooses
the finished left-to-right caption to which the two decoders together give the highest score.

Shapes: G videos, W samples, K finished captions kept, R captions of all videos, L tokens at most, V words, D width.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pipeline.captioning.beam_search import Finished, Found, Search, of_beams, search
from pipeline.captioning.captioner import Captioner, Context, Decoder
from pipeline.captioning.nucleus import sample
from pipeline.captioning.word_rules import WordRules
from pipeline.config import DecodingSettings
from pipeline.models.attention import KeysValues
from pipeline.vocabulary import EOS, PAD


class Said(NamedTuple):
    """State of a direction: the tokens that it has read so far.

    Attributes:
        num_tokens: Number of tokens read of each caption.
        past: Keys and values of these tokens, layer by layer; None before the first token.
    """

    num_tokens: int
    past: list[KeysValues] | None


class Direction:
    """One direction of a bidirectional captioner, as a `pipeline.captioning.step_decoder.StepDecoder`.

    The captions of a video share one row of the contexts, so these are neither copied nor reordered.

    Args:
        model: The captioner, in evaluation mode, which gives embedding and generator.
        decoder: The decoder of the direction.
        contexts: The contexts that the decoder attends to, layer by layer; each has one row for a video.
    """

    def __init__(self, model: Captioner, decoder: Decoder, contexts: list[list[Context]]) -> None:
        self.model = model
        self.decoder = decoder
        self.contexts = contexts
        mask = contexts[0][0].mask
        self.num_videos, self.device = len(mask), mask.device

    def begin(self, num_captions: int) -> Said:  # noqa: ARG002, its rows come with the first tokens
        """The state in which no token has been read."""
        return Said(0, None)

    def step(self, tokens_R: Tensor, state: Said) -> tuple[Tensor, Said]:
        """Read a token of each caption; returns log-probabilities of the next one `[R, V]`, and the new state."""
        x_R1D = self.model.embed(tokens_R[:, None], first=state.num_tokens)
        states_R1D, past = self.decoder(x_R1D, self.contexts, state.past)
        log_probs_R1V = self.model.generator(states_R1D).float().log_softmax(2)
        return log_probs_R1V[:, 0], Said(state.num_tokens + 1, past)

    def reorder(self, state: Said, rows_R: Tensor) -> Said:
        """The state in which caption i goes on from caption `rows_R[i]`."""
        past = state.past and [keys_values.take(rows_R) for keys_values in state.past]
        return Said(state.num_tokens, past)

    def keep(self, videos_N: Tensor) -> "Direction":
        """The direction for some of its videos, in ascending order."""
        contexts = [[context.take(videos_N) for context in of_layers] for of_layers in self.contexts]
        return Direction(self.model, self.decoder, contexts)


@torch.inference_mode()
def search_batch(model: Captioner, graphs: Any, settings: DecodingSettings, ids: Sequence[str]) -> Search:
    """Search right to left, then left to right with the result in view; then draw samples if the settings ask for them.

    Args:
        model: The captioner, in evaluation mode.
        graphs: A batch made by `batch_graphs`, on the model's device.
        settings: How captions are searched for and drawn.
        ids: Ids of the videos.

    Returns:
        The best captions of the left-to-right decoder, samples of this decoder if asked for, and the best captions of
        the right-to-left decoder, last word first.
    """
    rules = WordRules(settings.min_words, settings.max_words, settings.no_repeat_ngram)
    penalty, num_kept = settings.length_penalty, settings.beam if settings.rerank == "both" else 1
    memory = model.encode(graphs)
    backward, forward = model.decoder_right_to_left, model.decoder_left_to_right
    frames = backward.context(0, memory.right_to_left_GTD, memory.right_to_left_mask_GT)
    right_to_left = search(Direction(model, backward, [frames]), settings.beam, rules, penalty, num_kept=1).best()
    states_GLD, _ = backward(model.embed(right_to_left.tokens_GL), [frames])
    contexts = [
        forward.context(0, memory.left_to_right_GMD, memory.left_to_right_mask_GM),
        forward.context(1, states_GLD, right_to_left.tokens_GL != PAD),
    ]
    left_to_right = Direction(model, forward, contexts)
    finished = search(left_to_right, settings.beam, rules, penalty, num_kept)
    best = finished.best() if num_kept == 1 else rerank(model, frames, finished, penalty)
    samples_GWL = None if settings.nucleus is None else sample(left_to_right, ids, settings.nucleus, rules)
    return Search(best, samples_GWL, right_to_left)


def rerank(model: Captioner, frames: list[Context], finished: Finished, length_penalty: float) -> Found:
    """Choose the finished caption of each video to which both decoders together give the highest score.

    Args:
        model: The captioner, which gives embedding, generator and the right-to-left decoder.
        frames: The frames that the right-to-left decoder attends to, one row for a video.
        finished: Captions of the left-to-right decoder with their scores.
        length_penalty: Power of the number of words that those scores were divided by; right-to-left scores are divided
            by the same.

    Returns:
        The chosen captions with their left-to-right scores.
    """
    num_kept = finished.tokens_GKL.shape[1]
    tokens_RL = reverse(finished.tokens_GKL.flatten(0, 1))
    states_RLD, _ = model.decoder_right_to_left(model.embed(tokens_RL), [frames])
    log_probs_RLV = model.generator(states_RLD).float().log_softmax(2)
    length_R1 = (tokens_RL != PAD).sum(1, keepdim=True)
    target_RL = nn.functional.pad(tokens_RL[:, 1:], (0, 1), value=PAD).scatter(1, (length_R1 - 1).clamp(min=0), EOS)
    log_prob_RL = log_probs_RLV.gather(2, target_RL[:, :, None])[:, :, 0].masked_fill(target_RL == PAD, 0)
    # A row without a caption is never chosen, because its score is -inf.
    backward_R = log_prob_RL.sum(1) / (length_R1[:, 0] - 1).clamp(min=1) ** length_penalty
    chosen_G1 = (finished.score_GK + backward_R.view(-1, num_kept)).max(1, keepdim=True).indices
    return Found(of_beams(finished.tokens_GKL, chosen_G1)[:, 0], finished.score_GK.gather(1, chosen_G1)[:, 0])


def reverse(tokens_RL: Tensor) -> Tensor:
    """Reverse the words of captions; `<bos>` stays in front, and the padding behind."""
    length_R1 = (tokens_RL != PAD).sum(1, keepdim=True)
    place_L = torch.arange(tokens_RL.shape[1], device=tokens_RL.device)
    is_word_RL = (place_L > 0) & (place_L < length_R1)
    return tokens_RL.gather(1, torch.where(is_word_RL, length_R1 - place_L, place_L))

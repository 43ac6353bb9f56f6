"""How the bidirectional captioner is searched: backwards first, then forwards in the light of what was found.

The right-to-left caption is searched first. The left-to-right search then attends to the hidden states of the best
*finished* right-to-left caption of its video, masked as in training (the published code attends to whichever unfinished
prefix happened to survive). `rerank: both` chooses among the finished left-to-right captions by the sum of what both
decoders give them.

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
    """What a direction has said so far.

    Attributes:
        num_tokens: Tokens of each caption.
        past: Their keys and values in each layer; none before the first token.
    """

    num_tokens: int
    past: list[KeysValues] | None


class Direction:
    """One direction of a bidirectional captioner, as the step decoder of `pipeline.captioning.step_decoder`.

    The captions of a video share one row of the contexts, so these are never copied nor reordered.

    Args:
        model: Gives embedding and generator; in evaluation mode.
        decoder: The decoder of the direction.
        contexts: What it attends to, one row a video.
    """

    def __init__(self, model: Captioner, decoder: Decoder, contexts: list[list[Context]]) -> None:
        self.model = model
        self.decoder = decoder
        self.contexts = contexts
        mask = contexts[0][0].mask
        self.num_videos, self.device = len(mask), mask.device

    def begin(self, num_captions: int) -> Said:  # noqa: ARG002, its rows come with the first tokens
        """Nothing is said yet."""
        return Said(0, None)

    def step(self, tokens_R: Tensor, state: Said) -> tuple[Tensor, Said]:
        """Log-probabilities of the next token, `[R, V]`, and what is said by then."""
        x_R1D = self.model.embed(tokens_R[:, None], first=state.num_tokens)
        states_R1D, past = self.decoder(x_R1D, self.contexts, state.past)
        log_probs_R1V = self.model.generator(states_R1D).float().log_softmax(2)
        return log_probs_R1V[:, 0], Said(state.num_tokens + 1, past)

    def reorder(self, state: Said, rows_R: Tensor) -> Said:
        """Captions that go on from other ones."""
        past = state.past and [keys_values.take(rows_R) for keys_values in state.past]
        return Said(state.num_tokens, past)


@torch.inference_mode()
def search_batch(model: Captioner, graphs: Any, settings: DecodingSettings, ids: Sequence[str]) -> Search:
    """Search right to left, then left to right in the light of what was found; then draw captions if asked to.

    Args:
        model: In evaluation mode.
        graphs: Of `batch_graphs`, on the model's device.
        settings: How captions are searched for.
        ids: Of the videos.

    Returns:
        The best captions of the left-to-right decoder, samples of it if asked for, and the best captions of the
        right-to-left decoder, last word first.
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
    """Choose the finished caption that both decoders together find likeliest.

    Args:
        model: Gives embedding, generator and the right-to-left decoder.
        frames: What that decoder attends to, one row a video.
        finished: Captions of the left-to-right decoder with their scores.
        length_penalty: Of those scores; the other direction's are divided alike.

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
    # A row without a caption is but <bos>; its score of -inf keeps it from being chosen.
    backward_R = log_prob_RL.sum(1) / (length_R1[:, 0] - 1).clamp(min=1) ** length_penalty
    chosen_G1 = (finished.score_GK + backward_R.view(-1, num_kept)).max(1, keepdim=True).indices
    return Found(of_beams(finished.tokens_GKL, chosen_G1)[:, 0], finished.score_GK.gather(1, chosen_G1)[:, 0])


def reverse(tokens_RL: Tensor) -> Tensor:
    """Captions with their words turned round: `<bos>` stays in front and the padding behind."""
    length_R1 = (tokens_RL != PAD).sum(1, keepdim=True)
    place_L = torch.arange(tokens_RL.shape[1], device=tokens_RL.device)
    is_word_RL = (place_L > 0) & (place_L < length_R1)
    return tokens_RL.gather(1, torch.where(is_word_RL, length_R1 - place_L, place_L))

"""Search with the LSTM captioner: the same beam search and sampling as of any captioner, over its own step decoder.

Shapes: G videos, R captions of all videos, V words, T steps, H rows, W columns and C channels of maps.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.captioning.beam_search import Search, search
from pipeline.captioning.lstm_captioner import Clips, Hidden, LstmCaptioner
from pipeline.captioning.nucleus import sample
from pipeline.captioning.word_rules import WordRules
from pipeline.config import DecodingSettings


class LstmSteps:
    """An LSTM captioner with some encoded videos, as a `pipeline.captioning.step_decoder.StepDecoder`.

    Args:
        model: The captioner, in evaluation mode.
        clips: The encoded videos.
    """

    def __init__(self, model: LstmCaptioner, clips: Clips) -> None:
        self.model = model
        self.clips = clips
        self.num_videos, self.device = len(clips.vector_GE), clips.vector_GE.device

    def begin(self, num_captions: int) -> Hidden:
        """The state in which the clips have been read, and no token."""
        return Hidden(*(of.repeat_interleave(num_captions, 0) for of in self.model.begin(self.clips)))

    def step(self, tokens_R: Tensor, state: Hidden) -> tuple[Tensor, Hidden]:
        """Read a token of each caption; returns log-probabilities of the next one `[R, V]`, and the new state."""
        state = self.model.read(self.clips, self.model.words(tokens_R), state)
        return self.model.logits(state.h_RD).float().log_softmax(1), state

    def reorder(self, state: Hidden, rows_R: Tensor) -> Hidden:
        """The state in which caption i goes on from caption `rows_R[i]`."""
        return state.take(rows_R)

    def keep(self, videos_N: Tensor) -> "LstmSteps":
        """The decoder for some of its videos, in ascending order."""
        return LstmSteps(self.model, self.clips.take(videos_N))


@torch.inference_mode()
def search_maps(model: LstmCaptioner, maps_GTHWC: Tensor, settings: DecodingSettings, ids: Sequence[str]) -> Search:
    """Search for the best captions of some videos; then draw samples if the settings ask for them.

    Args:
        model: The captioner, in evaluation mode.
        maps_GTHWC: Their maps, on the model's device.
        settings: How captions are searched for and drawn. A beam of 1 follows the likeliest words, and ends where the
            whole is likeliest.
        ids: Ids of the videos.
    """
    rules = WordRules(settings.min_words, settings.max_words, settings.no_repeat_ngram)
    steps = LstmSteps(model, model.encode(maps_GTHWC))
    best = search(steps, settings.beam, rules, settings.length_penalty, num_kept=1).best()
    samples = None if settings.nucleus is None else sample(steps, ids, settings.nucleus, rules)
    return Search(best, samples, None)

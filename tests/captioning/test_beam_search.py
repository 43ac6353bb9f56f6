"""The search by a decoder that is no network: whatever keeps to the protocol of a step decoder is searched."""

from itertools import product
from typing import NamedTuple

import pytest
import torch

from pipeline.captioning.beam_search import Finished, keep_better, search
from pipeline.captioning.nucleus import sample
from pipeline.captioning.word_rules import WordRules
from pipeline.config import NucleusSettings
from pipeline.vocabulary import BOS, EOS, PAD

A, B = 4, 5
RULES = WordRules(min_words=0, max_words=3, no_repeat_ngram=0)


class Counting(NamedTuple):
    """A decoder whose next word depends on how often "a" was said, so that a state in the wrong row is noticed.

    Attributes:
        log_probs_GNV: By video and by number of "a" so far (row 3: three or more).
    """

    log_probs_GNV: torch.Tensor

    @property
    def num_videos(self):
        return len(self.log_probs_GNV)

    @property
    def device(self):
        return self.log_probs_GNV.device

    def begin(self, num_captions):
        return torch.zeros(self.num_videos * num_captions, dtype=torch.long)

    def step(self, tokens_R, state):
        count_R = state + (tokens_R == A)
        video_R = torch.arange(len(count_R)) // (len(count_R) // self.num_videos)
        return self.log_probs_GNV[video_R, count_R], count_R

    def reorder(self, state, rows_R):
        return state[rows_R]

    def keep(self, videos_N):
        return Counting(self.log_probs_GNV[videos_N])

    def score(self, video, words):
        """Log-probability of a whole caption, word by word."""
        total, count = 0.0, 0
        for word in (*words, EOS):
            total += float(self.log_probs_GNV[video, count, word])
            count += word == A
        return total


@pytest.fixture
def decoder():
    generator = torch.Generator().manual_seed(4)
    return Counting((3 * torch.randn(6, 4, 6, generator=generator)).log_softmax(2))


def captions(tokens_GL):
    return [[token for token in row if token not in (BOS, PAD)] for row in tokens_GL.tolist()]


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_wide_beam_finds_the_best_captions_of_all(decoder, penalty):
    every = [words for n in (1, 2, 3) for words in product((A, B), repeat=n)]
    found = search(decoder, 8, RULES, penalty, num_kept=3)
    for video in range(decoder.num_videos):
        scores = {words: decoder.score(video, words) / len(words) ** penalty for words in every}
        best = sorted(scores, key=scores.__getitem__, reverse=True)[:3]
        assert [tuple(words) for words in captions(found.tokens_GKL[video])] == best
        assert found.score_GK[video].tolist() == pytest.approx([scores[words] for words in best], abs=1e-5)
    assert len({str(words) for words in captions(found.best().tokens_GL)}) > 1


def test_one_beam_follows_the_likeliest_word_and_takes_the_best_end_on_its_way():
    # Video 0 ends best after "b", and video 1 after the second "a".
    probabilities = torch.full((2, 4, 6), 1e-6)
    probabilities[0, :, [EOS, A, B]] = torch.tensor([0.5, 0.1, 0.4])
    probabilities[1, 0, [EOS, A, B]] = torch.tensor([0.1, 0.8, 0.1])
    probabilities[1, 1, [EOS, A, B]] = torch.tensor([0.01, 0.9, 0.09])
    probabilities[1, 2:, [EOS, A, B]] = torch.tensor([0.9, 0.05, 0.05])
    found = search(Counting(probabilities.log()), 1, RULES, 0.0, num_kept=1).best()
    assert captions(found.tokens_GL) == [[B], [A, A]]
    expected = torch.tensor([0.4 * 0.5, 0.8 * 0.9 * 0.9]).log().tolist()
    assert found.score_G.tolist() == pytest.approx(expected, abs=1e-5)


def test_beams_that_cannot_win_and_videos_that_are_done_are_computed_no_more(monkeypatch):
    rows, step = [], Counting.step

    def counting(decoder, tokens_R, state):
        rows.append((decoder.num_videos, len(tokens_R)))
        return step(decoder, tokens_R, state)

    # Video 0 ends best after one word, which no other beam can reach; video 1 after three, and its first beam leads.
    probabilities = torch.full((2, 4, 6), 1e-6)
    probabilities[0, :, [EOS, A, B]] = torch.tensor([0.9, 0.09, 0.01])
    probabilities[1, :, [EOS, A, B]] = torch.tensor([0.01, 0.98, 0.01])
    probabilities[1, 3, [EOS, A, B]] = torch.tensor([0.98, 0.01, 0.01])
    monkeypatch.setattr(Counting, "step", counting)
    found = search(Counting(probabilities.log()), 2, WordRules(0, 5, 0), 0.0, num_kept=1).best()
    assert captions(found.tokens_GL) == [[A], [A, A, A]]
    # `<bos>` once, then two beams of each; then video 0 is done, and at last video 1.
    assert rows[:2] == [(2, 2), (2, 4)]
    assert {num_videos for num_videos, _ in rows[2:]} == {1}
    assert len(rows) == 4


def test_samples_come_in_the_shares_of_their_probabilities(decoder):
    settings = NucleusSettings(p=1.0, temperature=1.0, samples=4000, seed=3)
    drawn_GWL = sample(decoder, list("uvwxyz"), settings, WordRules(min_words=0, max_words=1, no_repeat_ngram=0))
    share_G = (drawn_GWL[:, :, 1] == A).double().mean(1)
    words_G2 = decoder.log_probs_GNV[:, 0, [A, B]].double().exp()
    torch.testing.assert_close(share_G, words_G2[:, 0] / words_G2.sum(1), atol=0.03, rtol=0)


def test_a_finished_caption_gives_way_only_to_a_better_one():
    best = Finished(torch.tensor([[[1, 5, 0, 0]], [[1, 6, 0, 0]]]), torch.tensor([[-1.0], [-4.0]]))
    beams = torch.tensor([[[1, 7, 8], [1, 8, 9]], [[1, 9, 4], [1, 4, 5]]])
    better = keep_better(best, beams, torch.tensor([[-1.0, -3.0], [-3.5, -3.0]]))
    assert better.tokens_GKL.tolist() == [[[1, 5, 0, 0]], [[1, 4, 5, 0]]]
    assert better.score_GK.tolist() == [[-1], [-3]]


def test_the_best_finished_captions_are_kept_in_order():
    best = Finished(torch.tensor([[[1, 5, 0], [1, 0, 0]]]), torch.tensor([[-2.0, -torch.inf]]))
    better = keep_better(best, torch.tensor([[[1, 7, 8], [1, 8, 9]]]), torch.tensor([[-3.0, -1.0]]))
    assert better.tokens_GKL.tolist() == [[[1, 8, 9], [1, 5, 0]]]
    assert better.score_GK.tolist() == [[-1, -2]]

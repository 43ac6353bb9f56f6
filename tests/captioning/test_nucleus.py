import pytest
import torch
from toys.captioner import DECODING, captioner, graph

from pipeline.captioning.generation import caption_graphs
from pipeline.captioning.nucleus import choose, draw_uniform
from pipeline.config import NucleusSettings
from pipeline.vocabulary import Vocabulary

SETTINGS = NucleusSettings(p=0.9, temperature=1.0, samples=4, seed=3)
WORDS = Vocabulary(("<pad>", "<bos>", "<eos>", "<unk>", *"abcdefgh"), max_words=6)
GRAPHS = [graph(1, 3), graph(2, 1), graph(3, 2)]


def texts(settings, ids):
    model = captioner(sharpen=3.0)
    found = caption_graphs(model, WORDS, GRAPHS, DECODING.model_copy(update={"nucleus": settings}), ids)
    return [caption.samples for caption in found]


def test_a_word_is_chosen_from_the_nucleus():
    # Likeliest first: 0.5, 0.3, 0.15, 0.05. A nucleus of 0.75 is the first two: up to 5/8 the one, then the other.
    log_probs = torch.tensor([0.15, 0.5, 0.05, 0.3]).log().expand(1, 4, 4)
    numbers = torch.tensor([[0.0, 0.62, 0.63, 0.999]], dtype=torch.float64)
    assert choose(log_probs, numbers, p=0.75, temperature=1.0).tolist() == [[1, 1, 3, 3]]
    assert choose(log_probs, numbers, p=1.0, temperature=1.0).tolist() == [[1, 3, 3, 2]]
    assert choose(log_probs, numbers, p=0.4, temperature=1.0).tolist() == [[1, 1, 1, 1]]


def test_temperature_flattens():
    # Square roots of 0.64 and 0.36: 0.8 to 0.6, that is 4/7 and 3/7.
    log_probs = torch.tensor([0.64, 0.36]).log().expand(1, 2, 2)
    numbers = torch.tensor([[0.56, 0.58]], dtype=torch.float64)
    assert choose(log_probs, numbers, p=1.0, temperature=2.0).tolist() == [[0, 1]]
    assert choose(log_probs, numbers, p=1.0, temperature=1.0).tolist() == [[0, 0]]


def test_what_is_forbidden_is_never_chosen():
    log_probs = torch.tensor([-torch.inf, 0.0, -torch.inf]).expand(1, 2, 3)
    numbers = torch.tensor([[0.0, 0.9999999]], dtype=torch.float64)
    assert choose(log_probs, numbers, p=1.0, temperature=1.0).tolist() == [[1, 1]]


def test_numbers_follow_from_seed_and_id_alone():
    together = draw_uniform(["a", "b"], SETTINGS, 5)
    assert together.shape == (2, 4, 5)
    assert together[1].tolist() == draw_uniform(["b"], SETTINGS, 5)[0].tolist()
    assert together[0].tolist() != together[1].tolist()
    other = SETTINGS.model_copy(update={"seed": 4})
    assert draw_uniform(["b"], other, 5).tolist() != draw_uniform(["b"], SETTINGS, 5).tolist()


def test_samples_are_reproducible_and_varied():
    drawn = texts(SETTINGS, ["x", "y", "z"])
    assert drawn == texts(SETTINGS, ["x", "y", "z"])
    assert all(len(samples) == 4 for samples in drawn)
    assert all(1 <= len(text.split()) <= DECODING.max_words for samples in drawn for text in samples)
    assert len({text for samples in drawn for text in samples}) > 6
    assert drawn != texts(SETTINGS.model_copy(update={"seed": 4}), ["x", "y", "z"])


def test_a_tiny_nucleus_is_greedy():
    greedy = texts(SETTINGS.model_copy(update={"p": 1e-6}), None)
    model = captioner(sharpen=3.0)
    assert all(len(set(samples)) == 1 for samples in greedy)
    beam = caption_graphs(model, WORDS, GRAPHS, DECODING.model_copy(update={"beam": 3}))
    assert [caption.samples for caption in beam] == [()] * 3


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_samples_come_in_the_shares_of_their_probabilities(p):
    """Of the first words drawn over many ids, against the model's own distribution cut to the nucleus."""
    log_probs = torch.tensor([0.4, 0.3, 0.2, 0.1]).log().expand(1, 4000, 4)
    numbers = draw_uniform(["v"], SETTINGS.model_copy(update={"samples": 4000}), 1)[:, :, 0]
    chosen = choose(log_probs, numbers, p, 1.0)
    shares = torch.bincount(chosen.flatten(), minlength=4) / 4000
    expected = torch.tensor([4 / 7, 3 / 7, 0, 0] if p == 0.5 else [0.4, 0.3, 0.2, 0.1])
    torch.testing.assert_close(shares, expected, atol=0.03, rtol=0)

from itertools import product

import pytest
import torch
from captioner_toys import DECODING, captioner, graph
from torch.testing import assert_close
from torch_geometric.data import Batch

from pipeline.models.beam_search import Found, caption_graphs, keep_better, search_batch
from pipeline.training.vocabulary import BOS, EOS, NEVER_GENERATED, PAD, Vocabulary

GRAPHS = [graph(1, 3), graph(2, 1), graph(3, nodes_of_frame=(2, 0, 1, 3)), graph(4, 2), graph(5, 4)]
WORDS = Vocabulary(("<pad>", "<bos>", "<eos>", "<unk>", *"abcdefgh"), max_words=6)


def batch_of(graphs):
    return Batch.from_data_list(graphs, follow_batch=["motion"])


def tokens_of(row):
    return [token for token in row if token != PAD]


def log_probs(model, graphs, backward, forward):
    """Of a caption in each direction, by teacher forcing; tokens from <bos> to <eos>."""
    left, right = torch.tensor([forward]), torch.tensor([backward])
    seen = torch.ones(1, right.shape[1] - 1, dtype=torch.bool)
    with torch.no_grad():
        logits = model(batch_of(graphs), left[:, :-1], right[:, :-1], seen, torch.tensor([0]))
    return [
        float(of.log_softmax(2)[0].gather(1, tokens[0, 1:, None]).sum())
        for of, tokens in zip(logits, (left, right), strict=True)
    ]


def test_a_wide_beam_finds_the_best_of_all_captions():
    model = captioner(num_words=7, sharpen=3.0)
    words = [token for token in range(7) if token not in (*NEVER_GENERATED, EOS)]
    every = [[BOS, *caption, EOS] for n in (1, 2) for caption in product(words, repeat=n)]
    backward, forward = search_batch(model, batch_of(GRAPHS[:1]), num_beams=12, max_words=2)
    best_backward = max(every, key=lambda caption: log_probs(model, GRAPHS[:1], caption, every[0])[1])
    best_forward = max(every, key=lambda caption: log_probs(model, GRAPHS[:1], best_backward, caption)[0])
    assert [*tokens_of(backward.tokens_GL[0].tolist()), EOS] == best_backward
    assert [*tokens_of(forward.tokens_GL[0].tolist()), EOS] == best_forward


@pytest.mark.parametrize("num_beams", [1, 3])
def test_scores_are_those_of_training_in_the_light_of_the_best_finished_caption(num_beams):
    """T10: the states attended to are those of the finished right-to-left caption that is returned, and no others."""
    model = captioner(sharpen=20.0)
    backward, forward = search_batch(model, batch_of(GRAPHS), num_beams, max_words=6)
    for number, one in enumerate(GRAPHS):
        captions = [[*tokens_of(found.tokens_GL[number].tolist()), EOS] for found in (backward, forward)]
        scores = log_probs(model, [one], *captions)
        assert_close([float(forward.score_G[number]), float(backward.score_G[number])], scores, atol=1e-4, rtol=1e-4)


def test_a_batch_equals_its_graphs_one_by_one():
    model = captioner(sharpen=20.0)
    together = caption_graphs(model, WORDS, GRAPHS, DECODING)
    assert len(together) == len(GRAPHS) > DECODING.batch_size
    for one, found in zip(GRAPHS, together, strict=True):
        alone = caption_graphs(model, WORDS, [one], DECODING)[0]
        assert (found.text, found.right_to_left) == (alone.text, alone.right_to_left)
        assert found.score == pytest.approx(alone.score, abs=1e-4)
    assert len({caption.text for caption in together}) > 1


def test_order_does_not_matter():
    model = captioner(sharpen=20.0)
    straight = caption_graphs(model, WORDS, GRAPHS, DECODING)
    turned = caption_graphs(model, WORDS, GRAPHS[::-1], DECODING)
    assert [caption.text for caption in turned[::-1]] == [caption.text for caption in straight]


@pytest.mark.parametrize("favoured", NEVER_GENERATED)
def test_special_tokens_are_never_generated(favoured):
    model = captioner()
    with torch.no_grad():
        model.generator.bias[favoured] = 50
    for found in search_batch(model, batch_of(GRAPHS), 3, max_words=4):
        for row in found.tokens_GL.tolist():
            words = tokens_of(row)[1:]
            assert words
            assert not set(words) & {*NEVER_GENERATED, EOS}


def test_a_caption_has_a_word_even_if_the_end_is_likeliest():
    model = captioner()
    with torch.no_grad():
        model.generator.bias[EOS] = 50
    assert all(len(caption.text.split()) == 1 for caption in caption_graphs(model, WORDS, GRAPHS, DECODING))


@pytest.mark.parametrize("max_words", [1, 2])
def test_a_caption_that_would_go_on_is_ended(max_words):
    model = captioner()
    with torch.no_grad():
        model.generator.bias[EOS] = -50
    settings = DECODING.model_copy(update={"max_words": max_words})
    for caption in caption_graphs(model, WORDS, GRAPHS, settings):
        assert 1 <= len(caption.text.split()) <= max_words
        assert -120 < caption.score < -40


def test_right_to_left_captions_are_turned_round():
    model = captioner(sharpen=20.0)
    backward, _ = search_batch(model, batch_of(GRAPHS[:1]), DECODING.beam, DECODING.max_words)
    expected = " ".join(WORDS.words[token] for token in tokens_of(backward.tokens_GL[0].tolist())[:0:-1])
    assert caption_graphs(model, WORDS, GRAPHS[:1], DECODING)[0].right_to_left == expected


def test_a_finished_caption_gives_way_only_to_a_better_one():
    best = Found(torch.tensor([[1, 5, 0], [1, 6, 0]]), torch.tensor([-1.0, -4.0]))
    beams = torch.tensor([[[1, 7, 8], [1, 8, 9]], [[1, 9, 4], [1, 4, 5]]])
    better = keep_better(best, beams, torch.tensor([[-2.0, -3.0], [-3.5, -3.0]]))
    assert better.tokens_GL.tolist() == [[1, 5, 0], [1, 4, 5]]
    assert better.score_G.tolist() == [-1, -3]


def test_the_model_is_left_in_its_mode():
    model = captioner().train()
    caption_graphs(model, WORDS, GRAPHS[:1], DECODING)
    assert model.training

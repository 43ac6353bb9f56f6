from itertools import product

import pytest
import torch
from torch.testing import assert_close
from toys.captioner import DECODING, captioner, graph

from pipeline.captioning import beam_search
from pipeline.captioning.bidirectional_search import reverse, search_batch
from pipeline.captioning.generation import caption_graphs
from pipeline.config import NucleusSettings
from pipeline.models.action_graph import batch_graphs
from pipeline.vocabulary import BOS, EOS, NEVER_GENERATED, PAD, Vocabulary

GRAPHS = [graph(1, 3), graph(2, 1), graph(3, nodes_of_frame=(2, 0, 1, 3)), graph(4, 2), graph(5, 4)]
WORDS = Vocabulary(("<pad>", "<bos>", "<eos>", "<unk>", *"abcdefgh"), max_words=6)


def decoding(**changes):
    return DECODING.model_copy(update=changes)


def search(model, graphs, **changes):
    """Best captions of either direction: tokens and scores."""
    ids = [str(number) for number in range(len(graphs))]
    found = search_batch(model, batch_graphs(graphs), decoding(**changes), ids)
    return found.right_to_left, found.best


def tokens_of(row):
    return [token for token in row if token != PAD]


def log_probs(model, graphs, backward, forward):
    """Of a caption in each direction, by teacher forcing; tokens from <bos> to <eos>."""
    left, right = torch.tensor([forward]), torch.tensor([backward])
    seen = torch.ones(1, right.shape[1] - 1, dtype=torch.bool)
    with torch.no_grad():
        logits = model(batch_graphs(graphs), left[:, :-1], right[:, :-1], seen, torch.tensor([0]))
    return [
        float(of.log_softmax(2)[0].gather(1, tokens[0, 1:, None]).sum())
        for of, tokens in zip(logits, (left, right), strict=True)
    ]


def test_a_wide_beam_finds_the_best_of_all_captions():
    model = captioner(num_words=7, sharpen=3.0)
    words = [token for token in range(7) if token not in (*NEVER_GENERATED, EOS)]
    every = [[BOS, *caption, EOS] for n in (1, 2) for caption in product(words, repeat=n)]
    backward, forward = search(model, GRAPHS[:1], beam=12, max_words=2)
    best_backward = max(every, key=lambda caption: log_probs(model, GRAPHS[:1], caption, every[0])[1])
    best_forward = max(every, key=lambda caption: log_probs(model, GRAPHS[:1], best_backward, caption)[0])
    assert [*tokens_of(backward.tokens_GL[0].tolist()), EOS] == best_backward
    assert [*tokens_of(forward.tokens_GL[0].tolist()), EOS] == best_forward


@pytest.mark.parametrize("num_beams", [1, 3])
def test_scores_are_those_of_training_in_the_light_of_the_best_finished_caption(num_beams):
    """T10: the states attended to are those of the finished right-to-left caption that is returned, and no others."""
    model = captioner(sharpen=20.0)
    backward, forward = search(model, GRAPHS, beam=num_beams)
    for number, one in enumerate(GRAPHS):
        captions = [[*tokens_of(found.tokens_GL[number].tolist()), EOS] for found in (backward, forward)]
        scores = log_probs(model, [one], *captions)
        assert_close([float(forward.score_G[number]), float(backward.score_G[number])], scores, atol=1e-4, rtol=1e-4)


NUCLEUS = NucleusSettings(p=0.9, temperature=1.5, samples=3, seed=5)
OPTIONS = (
    {},
    {"length_penalty": 1.0},
    {"length_penalty": 0.3, "min_words": 3},
    {"no_repeat_ngram": 1, "min_words": 4},
    {"no_repeat_ngram": 2, "min_words": 6},
    {"rerank": "both", "min_words": 3},
    {"rerank": "both", "length_penalty": 0.7},
    {"nucleus": NUCLEUS},
    {"nucleus": NUCLEUS, "no_repeat_ngram": 2, "min_words": 4},
)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_batch_equals_its_graphs_one_by_one(options):
    model, settings, ids = captioner(sharpen=20.0), decoding(**options), list("vwxyz")
    together = caption_graphs(model, WORDS, GRAPHS, settings, ids)
    assert len(together) == len(GRAPHS) > DECODING.batch_size
    for one, video_id, found in zip(GRAPHS, ids, together, strict=True):
        alone = caption_graphs(model, WORDS, [one], settings, [video_id])[0]
        assert found._replace(score=0) == alone._replace(score=0)
        assert found.score == pytest.approx(alone.score, abs=1e-4)
    assert len({caption.text for caption in together}) > 1


@pytest.mark.parametrize("penalty", [0.0, 0.5, 1.0, 3.0])
def test_stopping_early_changes_nothing(penalty, monkeypatch):
    """Against a search that always goes on to the longest caption."""
    model = captioner(sharpen=5.0)
    early = search(model, GRAPHS, length_penalty=penalty)
    lengths = (early[1].tokens_GL != PAD).sum(1) - 1
    monkeypatch.setattr(
        beam_search, "may_improve", lambda _, score_NW, *__: torch.ones_like(score_NW, dtype=torch.bool)
    )
    late = search(model, GRAPHS, length_penalty=penalty)
    for one, other in zip(early, late, strict=True):
        assert one.tokens_GL.tolist() == other.tokens_GL.tolist()
        assert_close(one.score_G, other.score_G, atol=1e-5, rtol=0)  # products of fewer rows are rounded otherwise
    if penalty == 3.0:
        assert lengths.max() > 2  # longer ones do come to win


def test_a_length_penalty_finds_the_best_of_all_captions():
    model = captioner(num_words=6, sharpen=3.0)
    words = [token for token in range(6) if token not in (*NEVER_GENERATED, EOS)]
    every = [[BOS, *caption, EOS] for n in (1, 2, 3, 4) for caption in product(words, repeat=n)]
    chosen = set()
    for penalty in (0.0, 1.0):
        options = {"beam": 20, "max_words": 4, "length_penalty": penalty}
        backward, forward = ([*tokens_of(of.tokens_GL[0].tolist()), EOS] for of in search(model, GRAPHS[:1], **options))
        scores = {tuple(c): log_probs(model, GRAPHS[:1], c, every[0])[1] / (len(c) - 2) ** penalty for c in every}
        assert tuple(backward) == max(scores, key=scores.__getitem__)
        scores = {tuple(c): log_probs(model, GRAPHS[:1], backward, c)[0] / (len(c) - 2) ** penalty for c in every}
        assert tuple(forward) == max(scores, key=scores.__getitem__)
        chosen.add(len(forward))
    assert len(chosen) == 2


@pytest.mark.parametrize("min_words", [0, 1, 4])
def test_a_caption_is_long_enough(min_words):
    model = captioner()
    with torch.no_grad():
        model.generator.bias[EOS] = 50
    for caption in caption_graphs(model, WORDS, GRAPHS, decoding(min_words=min_words)):
        assert len(caption.text.split()) == len(caption.right_to_left.split()) == max(1, min_words)


def test_no_run_of_words_twice():
    model, said = captioner(), []
    with torch.no_grad():
        model.generator.bias[4] = 20  # "a" for ever
        model.generator.bias[EOS] = -20
    for n in (0, 1, 2, 3):
        for caption in caption_graphs(model, WORDS, GRAPHS, decoding(no_repeat_ngram=n, min_words=5)):
            for text in (caption.text, caption.right_to_left):
                words = text.split()
                runs = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
                assert n == 0 or len(set(runs)) == len(runs)
                assert len(words) >= 5
                said.append(words.count("a"))
    assert max(said[:10]) >= 5  # without the rule it is said for ever


def test_a_caption_that_may_not_go_on_ends():
    """Two words, none of them twice: shorter than the shortest caption, but a caption."""
    model = captioner(num_words=6)
    words = Vocabulary(WORDS.words[:6], 6)
    settings = decoding(no_repeat_ngram=1, min_words=5, rerank="both", nucleus=NUCLEUS)
    for caption in caption_graphs(model, words, GRAPHS, settings):
        for text in (caption.text, caption.right_to_left, *caption.samples):
            assert sorted(text.split()) == ["a", "b"]
        assert caption.score > -100


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_reranking_chooses_by_both_directions(penalty):
    model = captioner(num_words=7, sharpen=3.0)
    words = [token for token in range(7) if token not in (*NEVER_GENERATED, EOS)]
    every = [[BOS, *caption, EOS] for n in (1, 2) for caption in product(words, repeat=n)]
    differs = []
    for one in GRAPHS:
        options = {"beam": 12, "max_words": 2, "length_penalty": penalty}
        backward, plain = search(model, [one], **options)
        _, chosen = search(model, [one], rerank="both", **options)
        best_backward = [*tokens_of(backward.tokens_GL[0].tolist()), EOS]
        forward_scores = {
            tuple(c): log_probs(model, [one], best_backward, c)[0] / (len(c) - 2) ** penalty for c in every
        }
        kept = sorted(forward_scores, key=forward_scores.__getitem__, reverse=True)[:12]  # all those of two words, too
        both = {
            c: forward_scores[c]
            + log_probs(model, [one], [BOS, *c[-2:0:-1], EOS], every[0])[1] / (len(c) - 2) ** penalty
            for c in kept
        }
        expected = max(both, key=both.__getitem__)
        assert (*tokens_of(chosen.tokens_GL[0].tolist()), EOS) == expected
        assert float(chosen.score_G[0]) == pytest.approx(forward_scores[expected], abs=1e-4)
        differs.append(chosen.tokens_GL.tolist() != plain.tokens_GL.tolist())
    assert any(differs)


def test_reversed_captions():
    rows = torch.tensor([[BOS, 5, 6, 7, PAD], [BOS, 9, PAD, PAD, PAD], [BOS, 4, 5, 6, 7]])
    assert reverse(rows).tolist() == [[BOS, 7, 6, 5, PAD], [BOS, 9, PAD, PAD, PAD], [BOS, 7, 6, 5, 4]]


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
    for found in search(model, GRAPHS, max_words=4):
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
    backward, _ = search(model, GRAPHS[:1])
    expected = " ".join(WORDS.words[token] for token in tokens_of(backward.tokens_GL[0].tolist())[:0:-1])
    assert caption_graphs(model, WORDS, GRAPHS[:1], DECODING)[0].right_to_left == expected


def test_the_model_is_left_in_its_mode():
    model = captioner().train()
    caption_graphs(model, WORDS, GRAPHS[:1], DECODING)
    assert model.training

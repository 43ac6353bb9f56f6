"""The LSTM captioner: equal to the published one written out, and the same word by word as caption by caption."""

import pytest
import torch
from toys.captioner import DECODING
from toys.maps import CHANNELS, MODEL, lstm, maps_of
from toys.plain_lstm import plain_logits, plain_loss

from pipeline.captioning.loss import smoothed_loss_sum
from pipeline.captioning.lstm_captioner import LstmCaptioner
from pipeline.captioning.lstm_search import LstmSteps, search_maps
from pipeline.captioning.lstm_training import loss_sum
from pipeline.captioning.map_batches import MapBatch
from pipeline.config import LstmModelSettings
from pipeline.vocabulary import BOS, EOS, PAD

ATTENTIONS = ("none", "temporal", "spatiotemporal")
PUBLISHED = LstmModelSettings(
    projection=2048, embedding=256, hidden=512, attention="none", attention_width=256, dropout=0.0
)


def some_maps(number=3):
    return torch.stack([torch.from_numpy(maps_of(seed)).float() for seed in range(number)])


def test_the_published_configuration_has_as_many_parameters():
    """Theirs trains the decoder and the layer before it; all is trained here. Of 11,045 words, by hand."""
    with torch.device("meta"):
        model = LstmCaptioner(PUBLISHED, 11_045, 2048)
    words, gates = 11_045 * 256, 4 * 512 * (256 + 512) + 2 * 4 * 512
    said, clip = 512 * 11_045 + 11_045, 2048 * 256 + 256
    theirs = words + gates + said + clip
    assert theirs == 10_595_109  # "about 10.6 million"
    frozen = 2048 * 2048 + 2048 + 2 * 2048 + 2 * 256  # the convolution and both norms
    assert sum(parameter.numel() for parameter in model.parameters()) == theirs + frozen == 14_796_069
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_it_begins_as_published():
    model = LstmCaptioner(PUBLISHED.model_copy(update={"projection": 64}), 500, 32)
    words = model.words.weight.detach()
    assert 0 <= float(words.min()) < 0.01
    assert 0.99 < float(words.max()) < 1
    assert model.clip_norm.momentum == 0.01
    limit = (6 / (4 * 512 + 256)) ** 0.5  # Glorot and Bengio's, of the LSTM's input
    assert float(model.lstm.weight_ih_l0.detach().abs().max()) == pytest.approx(limit, rel=0.01)
    assert float(model.generator.bias.detach().abs().max()) == 0


def test_a_step_has_the_loss_of_a_plain_model():
    """In training mode, by the same weights; and the published loss, which counts `<bos>` as a target, too."""
    model, maps = lstm().train(), some_maps()
    tokens = torch.tensor([[BOS, 5, 6, EOS, PAD], [BOS, 7, EOS, PAD, PAD], [BOS, 4, 8, 9, EOS]])
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    whole = plain_logits(state, maps, tokens[:, :-1])
    lengths = [3, 2, 4]
    plain = plain_loss(whole[:, 1:], tokens[:, 1:], lengths)
    batch = MapBatch(maps, tokens, torch.arange(3), sum(lengths))
    found = loss_sum(model, model.encode(maps), batch, 0.0) / batch.num_tokens
    torch.testing.assert_close(found, plain)
    published = plain_loss(whole, tokens, [1 + length for length in lengths])
    clips = model.encode(maps)
    first = model.logits(model.begin(clips).h_RD)
    of_bos = torch.nn.functional.cross_entropy(first, tokens[:, 0], reduction="sum")
    torch.testing.assert_close((found * 9 + of_bos) / 12, published)


def test_every_weight_is_trained():
    """But for two biases, which have no effect: the norms behind them take them out again."""
    for attention in ATTENTIONS:
        model = lstm(attention=attention).train()
        logits = model(model.encode(some_maps()), torch.tensor([[BOS, 5], [BOS, 6], [BOS, 7]]), torch.arange(3))
        smoothed_loss_sum(logits, torch.tensor([[5, EOS], [6, EOS], [7, EOS]]), 0.0).backward()
        still = {name for name, p in model.named_parameters() if p.grad is None or float(p.grad.abs().max()) < 1e-5}
        assert still == {"projection.bias", "clip.bias"}


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_word_by_word_it_says_what_it_says_of_whole_captions(attention):
    model, maps = lstm(attention=attention), some_maps()
    tokens = torch.tensor([[BOS, 5, 6], [BOS, 7, 4], [BOS, 4, 8], [BOS, 9, 9], [BOS, 5, 5], [BOS, 6, 7]])
    with torch.inference_mode():
        clips = model.encode(maps)
        expected = model(clips, tokens, torch.tensor([0, 0, 1, 1, 2, 2])).log_softmax(2)
        steps = LstmSteps(model, clips)
        state = steps.begin(2)
        for place in range(3):
            found, state = steps.step(tokens[:, place], state)
            torch.testing.assert_close(found, expected[:, place])
        kept = steps.keep(torch.tensor([0, 2]))
        rows = torch.tensor([1, 0, 4, 4])
        found, _ = kept.step(torch.tensor([8, 8, 8, 8]), steps.reorder(state, rows))
        more = torch.cat([tokens[rows], torch.full((4, 1), 8)], 1)
        torch.testing.assert_close(found, model(clips, more, torch.tensor([0, 0, 2, 2])).log_softmax(2)[:, 3])


def test_attention_sums_to_one_and_looks_at_steps_or_at_all_cells():
    for attention, places in (("temporal", 4), ("spatiotemporal", 4 * 2 * 3)):
        model = lstm(attention=attention)
        clips = model.encode(some_maps())
        weights = model.attention.weights(clips, torch.randn(6, MODEL.hidden))
        assert weights.shape == (3, 2, places)
        torch.testing.assert_close(weights.sum(2), torch.ones(3, 2))
        assert float(weights.detach().std()) > 0


def test_attention_reads_the_projected_maps_by_hand():
    """Two places, all of whose weight goes to the second: what is read is its projection."""
    model = lstm(attention="temporal")
    clips = model.encode(some_maps(1)[:, :2])
    with torch.no_grad():
        model.attention.query.weight.zero_()
        model.attention.score.weight.copy_(50 * (clips.keys_GNA[0, 1] - clips.keys_GNA[0, 0]).tanh()[None])
        found = model.attention(clips, torch.zeros(1, MODEL.hidden))
        weights = model.attention.weights(clips, torch.zeros(1, MODEL.hidden))[0, 0]
    expected = model.attention.read(weights[0] * clips.places_GNP[0, 0] + weights[1] * clips.places_GNP[0, 1])
    torch.testing.assert_close(found[0], expected)
    assert float(weights[1]) > 0.9


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_beam_of_one_follows_the_likeliest_words_and_ends_where_the_whole_is_likeliest(attention):
    model, maps = lstm(attention=attention, sharpen=9.0), some_maps()
    found = search_maps(model, maps, DECODING.model_copy(update={"beam": 1}), ["a", "b", "c"])
    for video in range(3):
        said, total, ends = [BOS], 0.0, []
        with torch.inference_mode():
            clips = model.encode(maps[video : video + 1])
            for _ in range(DECODING.max_words + 1):
                log_probs = model(clips, torch.tensor([said]), torch.tensor([0]))[0, -1].log_softmax(0)
                ends.append((total + float(log_probs[EOS]), list(said)))
                log_probs[[PAD, BOS, EOS, 3]] = -torch.inf
                total += float(log_probs.max())
                said.append(int(log_probs.argmax()))
        score, best = max(ends[1:])  # a caption has a word
        assert found.best.tokens_GL[video].tolist() == best + [PAD] * (DECODING.max_words + 1 - len(best))
        assert float(found.best.score_G[video]) == pytest.approx(score, abs=1e-4)


def test_wider_beams_find_captions_at_least_as_likely():
    model, maps = lstm(sharpen=9.0), some_maps()
    one, five = (
        search_maps(model, maps, DECODING.model_copy(update={"beam": beam}), ["a", "b", "c"]) for beam in (1, 5)
    )
    assert (five.best.score_G >= one.best.score_G - 1e-6).all()
    assert five.right_to_left is None


def test_maps_have_the_channels_that_were_trained_with():
    with pytest.raises(RuntimeError):
        lstm().encode(torch.zeros(1, 2, 2, 2, CHANNELS + 1))

"""Maps of words: those of torchcam and captum, flat where nothing speaks for a word, and what is left of a clip."""

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from torch import nn
from torch.testing import assert_close
from torchcam.methods import GradCAM, ScoreCAM, SmoothGradCAMpp
from toys.maps import CHANNELS, SIZE, lstm, maps_of

from pipeline.captioning import word_maps as module
from pipeline.captioning.random_twin import random_twins
from pipeline.captioning.removal import random_of
from pipeline.captioning.word_maps import METHODS, log_odds, log_p_of_kept, word_maps
from pipeline.scoring.faithfulness import LSTM_LAYERS
from pipeline.vocabulary import BOS

TOKENS = [4, 7, 11]
ATTENTION = ("none", "temporal", "spatiotemporal")


class Scores(nn.Module):
    """The log-odds of a caption's words, of maps with channels first, with the layer whose maps are weighed."""

    def __init__(self, model):
        super().__init__()
        self.model, self.layer = model, nn.ReLU()

    def forward(self, maps_GCTHW):
        projected = self.model.map_norm(self.model.projection(maps_GCTHW))
        tokens = torch.tensor([[BOS, *TOKENS[:-1]]] * len(maps_GCTHW))
        clips = self.model.encode_rectified(self.layer(projected))
        return log_odds(self.model(clips, tokens, torch.arange(len(maps_GCTHW))), TOKENS)


@pytest.fixture
def double():
    """Float64 in the place of float32, for comparisons to rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def trained(attention="none"):
    """A captioner whose norms have seen maps, so that some projected channels are cut off and others not."""
    model = lstm(attention=attention, sharpen=20)
    model.train()
    with torch.no_grad():
        model.encode(torch.stack([maps(seed) for seed in range(8)]))
    return model.eval()


def maps(seed=3):
    return torch.from_numpy(maps_of(seed)).to(torch.get_default_dtype())


def by_torchcam(method, model, **options):
    scores = Scores(model)
    shape = (CHANNELS, *SIZE)
    found = []
    for place in range(len(TOKENS)):
        with method(scores, scores.layer, input_shape=shape, **options) as cam:
            out = scores(maps().movedim(-1, 0)[None].requires_grad_())
            found.append(cam(place, out, normalized=False)[0][0].detach())
    return torch.stack(found)


def own(method, model, **options):
    return METHODS[method](model, maps()[None], TOKENS, random_of(1, "a"), **options)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("attention", ATTENTION)
def test_grad_cam_is_that_of_torchcam_and_of_captum(attention):
    model = trained(attention).double()
    found = own("grad_cam", model)
    assert_close(found, by_torchcam(GradCAM, model), rtol=1e-9, atol=1e-12)
    scores = Scores(model)
    attributed = LayerGradCam(scores, scores.layer).attribute(
        maps().movedim(-1, 0)[None].repeat(len(TOKENS), 1, 1, 1, 1), target=list(range(len(TOKENS)))
    )
    # captum multiplies by the mean gradient, too.
    assert_close(found, attributed[:, 0].relu().detach(), rtol=1e-9, atol=1e-12)
    assert found.amax((1, 2, 3)).min() > 0


@pytest.mark.usefixtures("double")
def test_score_cam_is_that_of_torchcam():
    model = trained().double()
    assert_close(own("score_cam", model), by_torchcam(ScoreCAM, model), rtol=1e-7, atol=1e-10)


@pytest.mark.usefixtures("double")
def test_smooth_grad_cam_plus_plus_of_one_clean_sample_is_that_of_torchcam(monkeypatch):
    """torchcam adds 1e-8 below the line, of which large gradients take no notice."""
    model = trained().double()
    plain = log_odds
    for place in (module.__dict__, globals()):
        monkeypatch.setitem(place, "log_odds", lambda logits, tokens: 1e4 * plain(logits, tokens))
    expected = by_torchcam(SmoothGradCAMpp, model, num_samples=1, std=1e-12)
    assert_close(own("grad_cam_plus_plus", model), expected, rtol=1e-6, atol=1e-6)


def test_the_weight_of_grad_cam_plus_plus_written_out():
    """Where a channel's gradient g is the same in all cells, its weight is the number of cells times g / (2 + S g)."""
    model = trained()
    x = module.rectified_maps(model, maps()[None])
    slope_NP = module.gradients(model, x, TOKENS)[:, :, 0, 0, 0]
    total_P, cells = x[0].sum((1, 2, 3)), x[0, 0].numel()
    weight_NP = torch.where(slope_NP > 0, cells * slope_NP / (2 + total_P * slope_NP), 0)
    assert_close(own("grad_cam_plus_plus", model), torch.einsum("np,pthw->nthw", weight_NP, x[0]).relu())


@pytest.mark.parametrize("method", METHODS)
def test_maps_of_different_words_differ_and_those_of_equal_seeds_do_not(method):
    model = trained("spatiotemporal")
    found = word_maps(model, maps(), TOKENS, method, random_of(1, "a"))
    assert found.shape == (3, *SIZE)
    assert (found >= 0).all()
    assert not np.allclose(found[0], found[1])
    assert np.array_equal(found, word_maps(model, maps(), TOKENS, method, random_of(1, "a")))
    assert word_maps(model, maps(), [], method, random_of(1, "a")).shape == (0, *SIZE)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("scale", [0, 1, 60000])
def test_flat_maps_are_flat_and_nothing_overflows(method, attention, scale):
    """Maps that are the same everywhere give equal relevance everywhere, up to the largest of half precision."""
    model = trained(attention)
    cell = torch.linspace(-1, 1, CHANNELS) * scale
    found = word_maps(model, cell.expand(*SIZE, -1).half(), TOKENS, method, random_of(1, "a"))
    assert np.isfinite(found).all()
    if method != "smooth_grad_cam_plus_plus":  # its noise is not flat
        np.testing.assert_allclose(found, np.broadcast_to(found[:, :1, :1, :1], found.shape), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_captioner_that_is_sure_still_has_maps(method):
    """Its log-probabilities are 0 in float32, and have no gradient left."""
    model = trained()
    with torch.no_grad():
        model.generator.bias[TOKENS[0]] += 1000
    log_p = log_p_of_kept(model, maps(), TOKENS, torch.zeros(CHANNELS))
    assert log_p(np.ones((1, 24), bool))[0, 0] == 0
    assert word_maps(model, maps(), TOKENS, method, random_of(1, "a"))[0].max() > 0


def test_log_odds_written_out():
    logits = torch.log(torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]]))
    assert_close(log_odds(logits, [0, 2]), torch.log(torch.tensor([[1.0, 4.0]])))


def test_what_is_left_of_a_clip(monkeypatch):
    """A removed cell is that of `away_C`, however many versions are computed at once."""
    model, away = trained("spatiotemporal"), torch.linspace(-1, 1, CHANNELS)
    kept = np.zeros((3, 24), bool)
    kept[0], kept[1, [2, 5]] = True, True
    found = log_p_of_kept(model, maps(), TOKENS, away)(kept)
    monkeypatch.setattr(module, "VALUES_AT_ONCE", 1)
    np.testing.assert_allclose(found, log_p_of_kept(model, maps(), TOKENS, away)(kept), rtol=1e-5)
    for row, is_kept in enumerate(torch.from_numpy(kept)):
        changed = torch.where(is_kept.view(*SIZE, 1), maps(), away)
        with torch.no_grad():
            logits = model(model.encode(changed[None]), torch.tensor([[BOS, *TOKENS[:-1]]]), torch.tensor([0]))[0]
        np.testing.assert_allclose(found[row], logits.log_softmax(1)[range(3), TOKENS].numpy(), rtol=1e-4)


def test_twins_are_random_layer_by_layer():
    model = trained("temporal")
    twins = random_twins(model, 1)
    assert len(twins) == len(LSTM_LAYERS)
    changed = []
    for twin in twins:
        other = twin.state_dict()
        names = {name.partition(".")[0] for name, value in model.state_dict().items() if not value.equal(other[name])}
        changed.append(names)
    assert changed == [
        {"generator"},
        {"generator", "lstm", "attention"},
        {"generator", "lstm", "attention", "words"},
        {"generator", "lstm", "attention", "words", "clip", "clip_norm"},
        {"generator", "lstm", "attention", "words", "clip", "clip_norm", "projection", "map_norm"},
    ]
    again, others = random_twins(model, 1), random_twins(model, 2)
    assert again[-1].lstm.weight_ih_l0.equal(twins[-1].lstm.weight_ih_l0)
    assert not others[-1].lstm.weight_ih_l0.equal(twins[-1].lstm.weight_ih_l0)
    assert not twins[-1].training

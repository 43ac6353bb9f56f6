"""Class-activation maps of the LSTM captioner: for each word of a caption, which cells of which steps speak for it.

Each method weighs the channels of the projected maps, after their norm and ReLU, and adds them up. The score that a
word's weights are made from is its log-odds, given the clip and the words before it: a probability is saturated, and
its logarithm has no gradient left where the captioner is sure.

- Grad-CAM (Selvaraju et al., ICCV 2017, section 3): the mean gradient of the score over the cells of the channel.
- Grad-CAM++ (Chattopadhay et al., WACV 2018, section 3.2): a weighted sum of the positive gradients.
- Smooth Grad-CAM++ (Omeiza et al., 2019): the same from means over noisy maps.
- Score-CAM (Wang et al., CVPR 2020 workshops, section 3): the softmax of how much the score changes when the channel,
  scaled to between 0 and 1, masks the maps.

Shapes: N words of a caption, C channels of a map, P projected channels, T steps, H rows and W columns, R cells of all
steps, V words of the vocabulary, K versions of a clip.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.captioning.lstm_captioner import LstmCaptioner
from pipeline.captioning.removal import LogP
from pipeline.vocabulary import BOS

SAMPLES = 8  # noisy versions of a clip's maps, of Smooth Grad-CAM++
NOISE = 0.3  # their standard deviation, as a share of that of the maps
VALUES_AT_ONCE = 2**25  # numbers of projected maps that are held for several versions of a clip

Relevance = NDArray[np.float32]
Method = Callable[[LstmCaptioner, Tensor, Sequence[int], np.random.Generator], Tensor]


def word_maps(
    model: LstmCaptioner, maps_THWC: Tensor, tokens: Sequence[int], method: str, rng: np.random.Generator
) -> Relevance:
    """Compute the map of each word of a clip's caption.

    Args:
        model: The captioner, in evaluation mode.
        maps_THWC: The clip's maps, on the model's device.
        tokens: The words of the caption.
        method: A key of `METHODS`.
        rng: Draws the noise of Smooth Grad-CAM++.

    Returns:
        Relevance `[N, T, H, W]`, at least 0 and not scaled; all 0 where no cell speaks for the word.
    """
    if not tokens:
        return np.zeros((0, *maps_THWC.shape[:3]), np.float32)
    # cuDNN has no gradients through an LSTM in evaluation mode.
    with torch.backends.cudnn.flags(enabled=False):
        found = METHODS[method](model, maps_THWC[None].float(), tokens, rng)
    return np.asarray(found.float().cpu().numpy())


def log_odds(logits_KNV: Tensor, tokens: Sequence[int]) -> Tensor:
    """Log-odds of each word of a caption against all others, `[K, N]`."""
    own = torch.tensor(tokens, device=logits_KNV.device)
    is_own_NV = torch.nn.functional.one_hot(own, logits_KNV.shape[2]).bool()
    others_KN = logits_KNV.masked_fill(is_own_NV, float("-inf")).logsumexp(2)
    return logits_KNV[:, torch.arange(len(tokens)), own] - others_KN


def word_logits(model: LstmCaptioner, x_KPTHW: Tensor, tokens: Sequence[int]) -> Tensor:
    """Logits `[K, N, V]` of each word after those before it, of rectified maps."""
    num_versions = len(x_KPTHW)
    read_KN = torch.tensor([[BOS, *tokens[:-1]]] * num_versions, device=x_KPTHW.device)
    own_K = torch.arange(num_versions, device=x_KPTHW.device)
    logits: Tensor = model(model.encode_rectified(x_KPTHW), read_KN, own_K)
    return logits


def gradients(model: LstmCaptioner, x_1PTHW: Tensor, tokens: Sequence[int]) -> Tensor:
    """Gradients `[N, P, T, H, W]` of the score of each word, by rectified maps: one pass back for all words."""
    x_1PTHW = x_1PTHW.detach().requires_grad_()
    with torch.enable_grad():
        score_N = log_odds(word_logits(model, x_1PTHW, tokens), tokens)[0]
        each_NN = torch.eye(len(tokens), dtype=score_N.dtype, device=score_N.device)
        (found,) = torch.autograd.grad(score_N, x_1PTHW, grad_outputs=each_NN, is_grads_batched=True)
    return found[:, 0]


@torch.no_grad()
def rectified_maps(model: LstmCaptioner, maps_KTHWC: Tensor) -> Tensor:
    """The rectified maps `[K, P, T, H, W]` of which methods weigh the channels."""
    return model.rectified(model.projected(maps_KTHWC))


def weighed(weight_NP: Tensor, x_1PTHW: Tensor) -> Tensor:
    """The maps of all words: the weighted sums of channels, without what is negative."""
    return torch.relu(torch.einsum("np,pthw->nthw", weight_NP, x_1PTHW[0]))


def grad_cam(
    model: LstmCaptioner, maps_1THWC: Tensor, tokens: Sequence[int], _: np.random.Generator | None = None
) -> Tensor:
    """Grad-CAM."""
    x_1PTHW = rectified_maps(model, maps_1THWC)
    return weighed(gradients(model, x_1PTHW, tokens).mean((2, 3, 4)), x_1PTHW)


def grad_cam_plus_plus(
    model: LstmCaptioner,
    maps_1THWC: Tensor,
    tokens: Sequence[int],
    rng: np.random.Generator,
    samples: int = 1,
    noise: float = 0.0,
) -> Tensor:
    """Grad-CAM++, and Smooth Grad-CAM++ where there are several samples.

    The weight of a cell is `D2 / (2 D2 + S D3)`, of means over samples of the second and third powers of the gradients,
    with S the sum of the channel over all cells. It counts where the mean gradient is positive; the rectified maps make
    S at least 0, so that the weight lies between 0 and 1/2 and nothing overflows. A mean third power below 0, which
    Smooth Grad-CAM++ may have where the mean gradient is positive, counts as 0. As torchcam does, we take the second
    power above the line there, too, where its paper has the first.
    """
    x_1PTHW = rectified_maps(model, maps_1THWC)
    spread = noise * maps_1THWC.std()
    powers = [x_1PTHW.new_zeros(()) for _ in range(3)]
    for _ in range(samples):
        drawn = torch.from_numpy(rng.standard_normal(maps_1THWC.shape, np.float32)).to(maps_1THWC) * spread
        slope_NPTHW = gradients(model, rectified_maps(model, maps_1THWC + drawn), tokens)
        powers = [found + slope_NPTHW**power / samples for power, found in enumerate(powers, 1)]
    first, second, third = powers
    total_P = x_1PTHW[0].sum((1, 2, 3))[:, None, None, None]
    below = 2 * second + total_P * third.clamp_min(0)
    alpha = torch.where(below > 0, second / below, torch.zeros_like(below))
    return weighed((alpha * torch.relu(first)).sum((2, 3, 4)), x_1PTHW)


@torch.no_grad()
def score_cam(
    model: LstmCaptioner, maps_1THWC: Tensor, tokens: Sequence[int], _: np.random.Generator | None = None
) -> Tensor:
    """Score-CAM. It masks the maps before they are projected; masks come after it here, because it is linear."""
    projected_1PTHW = model.projected(maps_1THWC)
    x_1PTHW = model.rectified(projected_1PTHW)
    masks = x_1PTHW[0]
    least, most = masks.amin((1, 2, 3), keepdim=True), masks.amax((1, 2, 3), keepdim=True)
    masks = torch.where(most > least, (masks - least) / (most - least), torch.zeros_like(masks))
    bias = model.projection.bias
    assert bias is not None
    bias_P111 = bias[:, None, None, None]
    scores = []
    for part in torch.split(masks, versions_at_once(projected_1PTHW)):
        masked = part[:, None] * (projected_1PTHW - bias_P111) + bias_P111
        scores.append(log_odds(word_logits(model, model.rectified(masked), tokens), tokens))
    # The score of the whole clip is taken off all alike, which a softmax does not see.
    return weighed(torch.cat(scores).softmax(0).T, x_1PTHW)


METHODS: dict[str, Method] = {
    "grad_cam": grad_cam,
    "grad_cam_plus_plus": grad_cam_plus_plus,
    "smooth_grad_cam_plus_plus": partial(grad_cam_plus_plus, samples=SAMPLES, noise=NOISE),
    "score_cam": score_cam,
}


def versions_at_once(projected_1PTHW: Tensor) -> int:
    """How many versions of a clip are computed at once."""
    return max(1, VALUES_AT_ONCE // projected_1PTHW.numel())


@torch.no_grad()
def log_p_of_kept(model: LstmCaptioner, maps_THWC: Tensor, tokens: Sequence[int], away_C: Tensor) -> LogP:
    """Make the function from cells that are left to log-probabilities of the words, for deletion and insertion.

    Args:
        model: The captioner, in evaluation mode.
        maps_THWC: The clip's maps, on the model's device.
        tokens: The words of the caption.
        away_C: What stands in the place of a cell that is removed.
    """
    projected_1PTHW = model.projected(maps_THWC[None].float())
    away_1P111 = model.projected(away_C.float()[None, None, None, None])
    shape, own = maps_THWC.shape[:3], torch.arange(len(tokens))

    @torch.no_grad()
    def log_p(kept_KR: NDArray[np.bool_]) -> NDArray[Any]:
        found = []
        kept = torch.from_numpy(kept_KR).to(projected_1PTHW.device).view(-1, 1, *shape)
        for part in torch.split(kept, versions_at_once(projected_1PTHW)):
            x_KPTHW = model.rectified(torch.where(part, projected_1PTHW, away_1P111))
            log_p_KNV = word_logits(model, x_KPTHW, tokens).float().log_softmax(2)
            found.append(log_p_KNV[:, own, torch.tensor(tokens)].cpu().numpy())
        return np.concatenate(found)

    return log_p

"""Batch norm and what follows it in a ResNet, of maps whose channels lie last in memory.

PyTorch's batch norm of such maps adds up the numbers of a channel one after another on a CPU, in single precision: of
32,768 numbers the variance is wrong in the fifth digit, and ten steps of a training from scratch drift by 7e-5. For
maps with many places statistics are taken here by sums over the rows of a matrix, which PyTorch adds up in cascades.

Shapes: R rows, one for each place of each image; C channels.
"""

from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MANY_ROWS = 10_000  # PyTorch's own kernel is faster, and precise enough for fewer


def norm(layer: nn.Module, x_BCHW: Tensor) -> Tensor:
    """Apply batch norm as `layer(x_BCHW)` does; statistics are updated in training mode.

    Args:
        layer: Batch norm with weight and bias and with running statistics, or `nn.Identity` if it was folded.
        x_BCHW: A map whose channels lie last in memory.
    """
    y_BCHW: Tensor = _norm(layer, x_BCHW, None, False) if _is_own(layer, x_BCHW) else layer(x_BCHW)
    return y_BCHW


def norm_relu(layer: nn.Module, x_BCHW: Tensor, shortcut_BCHW: Tensor | None = None) -> Tensor:
    """Apply batch norm, add what a shortcut brings, and cut off what is negative.

    Args:
        layer: Batch norm with weight and bias and with running statistics, or `nn.Identity` if it was folded.
        x_BCHW: A map whose channels lie last in memory.
        shortcut_BCHW: A map of the same shape and layout; None for a layer without shortcut.
    """
    if _is_own(layer, x_BCHW):
        return _norm(layer, x_BCHW, shortcut_BCHW, True)
    y_BCHW = layer(x_BCHW)
    return F.relu_(y_BCHW if shortcut_BCHW is None else y_BCHW + shortcut_BCHW)


def _is_own(layer: nn.Module, x_BCHW: Tensor) -> TypeGuard[nn.BatchNorm2d]:
    # GPUs have one kernel that is right. Without training there are no statistics to compute.
    has_many = x_BCHW.numel() > MANY_ROWS * x_BCHW.shape[1]
    is_trained = isinstance(layer, nn.BatchNorm2d) and layer.training
    return has_many and is_trained and x_BCHW.device.type == "cpu" and x_BCHW.dtype.itemsize >= 4


def _norm(layer: nn.BatchNorm2d, x_BCHW: Tensor, shortcut_BCHW: Tensor | None, cut: bool) -> Tensor:
    num_images, channels, height, width = x_BCHW.shape
    shortcut_RC = None if shortcut_BCHW is None else _rows(shortcut_BCHW)
    y_RC, mean_C, variance_C = _Norm.apply(_rows(x_BCHW), layer.weight, layer.bias, shortcut_RC, layer.eps, cut)
    num_rows = num_images * height * width
    assert layer.running_mean is not None
    assert layer.running_var is not None
    assert layer.num_batches_tracked is not None
    assert layer.momentum is not None
    with torch.no_grad():
        layer.num_batches_tracked.add_(1)
        layer.running_mean.lerp_(mean_C, layer.momentum)
        layer.running_var.lerp_(variance_C * (num_rows / max(1, num_rows - 1)), layer.momentum)
    own: Tensor = y_RC
    return own.view(num_images, height, width, channels).permute(0, 3, 1, 2)


def _rows(x_BCHW: Tensor) -> Tensor:
    return x_BCHW.permute(0, 2, 3, 1).reshape(-1, x_BCHW.shape[1])


class _Norm(torch.autograd.Function):
    """Batch norm of a matrix; also returns mean and (biased) variance of each channel, which have no gradient."""

    @staticmethod
    def forward(
        ctx: Any, x_RC: Tensor, weight_C: Tensor, bias_C: Tensor, shortcut_RC: Tensor | None, eps: float, cut: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean_C = x_RC.mean(0)
        centred_RC = x_RC - mean_C
        variance_C = (centred_RC * centred_RC).mean(0)
        inverse_C = (variance_C + eps).rsqrt()
        y_RC = torch.addcmul(bias_C, centred_RC, weight_C * inverse_C)
        if shortcut_RC is not None:
            y_RC += shortcut_RC
        if cut:
            y_RC.relu_()
        ctx.save_for_backward(centred_RC, weight_C, inverse_C, y_RC if cut else None)
        ctx.has_shortcut = shortcut_RC is not None
        ctx.mark_non_differentiable(mean_C, variance_C)
        return y_RC, mean_C, variance_C

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        centred_RC, weight_C, inverse_C, y_RC = ctx.saved_tensors
        g_RC = gradients[0]
        if y_RC is not None:
            g_RC = torch.ops.aten.threshold_backward(g_RC, y_RC, 0)
        bias_grad_C = g_RC.sum(0)
        scaled_C = (g_RC * centred_RC).sum(0) * inverse_C
        # Derivative through mean and variance: g - mean(g) - normalised x * mean(g * normalised x), scaled.
        scale_C = weight_C * inverse_C / len(g_RC)
        x_grad_RC = torch.addcmul(-scale_C * bias_grad_C, centred_RC, -scale_C * inverse_C * scaled_C)
        x_grad_RC.addcmul_(g_RC, scale_C * len(g_RC))
        return x_grad_RC, scaled_C, bias_grad_C, g_RC if ctx.has_shortcut else None, None, None

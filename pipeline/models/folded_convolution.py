"""A 3D convolution with SAME padding and ReLU for inference: packed once, and with fewer products where that pays.

On a CPU, PyTorch's `conv3d` brings its weights into oneDNN's format at every call, which takes as long as the products
of a small layer. Here the weights are packed once, and the ReLU is part of the convolution.

A 3x3x3 kernel that meets many channels takes Winograd's way along time (A. Lavin and S. Gray, "Fast Algorithms for
Convolutional Neural Networks", CVPR 2016): four output frames come from six 3x3 convolutions of mixed frames, where
the direct way needs ten to twelve. Mixing and unmixing add whole frames, which stay in the cache.

Shapes: B windows, C input channels, O output channels, T frames or time steps, H height, W width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.models.same_padding import Triple, pad_same

OUT_FRAMES = 4  # frames that Winograd's way makes at once
WINOGRAD_CHANNELS = 64  # fewer input channels gain nothing at 14 x 14 pixels, because mixing costs what it saves
# The kernel's three frames, mixed for each of the six convolutions (Lavin and Gray 2016, F(4, 3); points 0, +-1, +-2).
KERNEL_MIX = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)


class FoldedConv3d(nn.Module):
    """A convolution with SAME padding and ReLU, without gradients.

    Args:
        weight: [O, C, 3 kernel sizes].
        bias: [O].
        stride: steps along time, height and width.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, stride: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach())
        self.register_buffer("bias", bias.detach())
        self.kernel, self.stride = _triple(weight.shape[2:]), _triple(stride)
        self._packed: tuple[tuple[torch.dtype, torch.Size], list[Tensor]] | None = None

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Returns [B, O, ceil(T / stride), ceil(H / stride), ceil(W / stride)]; weights and input are of one type."""
        if not _onednn_computes(x_BCTHW):
            x_BCTHW, padding = pad_same(x_BCTHW, self.kernel, self.stride)
            return F.conv3d(x_BCTHW, self.weight, self.bias, self.stride, padding).relu_()
        x_BCTHW = x_BCTHW.contiguous(memory_format=torch.channels_last_3d)
        if self._takes_winograd(x_BCTHW):
            return self._winograd(x_BCTHW)
        x_BCTHW, padding = pad_same(x_BCTHW, self.kernel, self.stride)
        if self._is_stale(x_BCTHW):
            self._packed = (x_BCTHW.dtype, x_BCTHW.shape), [pack(self.weight, padding, self.stride, x_BCTHW.shape)]
        return convolve(x_BCTHW, self._weights()[0], self.bias, padding, self.stride, "relu")

    def _takes_winograd(self, x_BCTHW: Tensor) -> bool:
        """In float32 only: bf16 would round mixed frames and kernels to its eight bits."""
        return (
            x_BCTHW.dtype == torch.float32
            and self.kernel == (3, 3, 3)
            and self.stride == (1, 1, 1)
            and x_BCTHW.shape[1] >= WINOGRAD_CHANNELS
            and x_BCTHW.shape[2] % OUT_FRAMES == 0
        )

    def _winograd(self, x_BCTHW: Tensor) -> Tensor:
        num_windows, num_channels, num_frames, height, width = x_BCTHW.shape
        if self._is_stale(x_BCTHW):
            shape = (num_windows, num_channels, height, width)
            # One after another, because all six in double precision would take three times the memory of the layer.
            weights = self.weight.double().unbind(2)
            mixed = (early * weights[0] + middle * weights[1] + late * weights[2] for early, middle, late in KERNEL_MIX)
            kernels = [pack(kernel.to(x_BCTHW.dtype), (1, 1), (1, 1), shape) for kernel in mixed]
            self._packed = (x_BCTHW.dtype, x_BCTHW.shape), kernels
        frames = [*x_BCTHW.unbind(2)]
        nothing = torch.zeros_like(frames[0])
        frames = [nothing, *frames, nothing]
        out_shape = (num_windows, len(self.bias), num_frames, height, width)
        out_BOTHW = torch.empty(out_shape, memory_format=torch.channels_last_3d)
        for start in range(0, num_frames, OUT_FRAMES):
            mixed_frames = mix_frames(frames[start : start + OUT_FRAMES + 2])
            biases = [None, self.bias, None, None, None, None]  # the second one is in each output frame once
            products = [
                convolve(frame.contiguous(memory_format=torch.channels_last), kernel, bias, (1, 1), (1, 1), "none")
                for frame, kernel, bias in zip(mixed_frames, self._weights(), biases, strict=True)
            ]
            unmix_frames(products, out_BOTHW[:, :, start : start + OUT_FRAMES].unbind(2))
        return out_BOTHW.relu_()

    def _is_stale(self, x_BCTHW: Tensor) -> bool:
        return self._packed is None or self._packed[0] != (x_BCTHW.dtype, x_BCTHW.shape)

    def _weights(self) -> list[Tensor]:
        assert self._packed is not None
        return self._packed[1]


def mix_frames(frames: Sequence[Tensor]) -> list[Tensor]:
    """Mix six consecutive input frames, each for one convolution (Lavin and Gray 2016, F(4, 3))."""
    first, second, third, fourth, fifth, sixth = frames
    even, odd = torch.sub(fifth, third, alpha=4), torch.sub(fourth, second, alpha=4)
    near_even, near_odd = fifth - third, (fourth - second).mul_(2)
    return [
        torch.sub(fifth, third, alpha=5).add_(first, alpha=4),
        even + odd,
        even.sub_(odd),
        near_even + near_odd,
        near_even.sub_(near_odd),
        torch.sub(sixth, fourth, alpha=5).add_(second, alpha=4),
    ]


def unmix_frames(products: Sequence[Tensor], out: Sequence[Tensor]) -> None:
    """Write the four output frames of six convolutions into `out`; the products are overwritten."""
    at_0, at_1, at_minus_1, at_2, at_minus_2, at_infinity = products
    near_sum, far_sum = at_1 + at_minus_1, at_2 + at_minus_2
    near, far = at_1.sub_(at_minus_1), at_2.sub_(at_minus_2)
    torch.add(at_0.add_(near_sum), far_sum, out=out[0])
    torch.add(near, far, alpha=2, out=out[1])
    torch.add(near_sum, far_sum, alpha=4, out=out[2])
    torch.add(at_infinity.add_(near), far, alpha=8, out=out[3])


def pack(weight: Tensor, padding: Sequence[int], stride: Sequence[int], input_shape: Sequence[int]) -> Tensor:
    """Bring the weights of a 2D or 3D convolution into the format that oneDNN wants for an input of this shape."""
    spatial = len(padding)
    last = torch.channels_last if spatial == 2 else torch.channels_last_3d
    packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
        weight.contiguous(memory_format=last), padding, stride, (1,) * spatial, 1, input_shape
    )
    return packed


def convolve(
    x: Tensor, packed: Tensor, bias: Tensor | None, padding: Sequence[int], stride: Sequence[int], then: str
) -> Tensor:
    """Convolve an input, whose colour is last in memory, with weights of `pack`; `then` is "relu" or "none"."""
    convolved: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, packed, bias, padding, stride, (1,) * len(padding), 1, then, [], ""
    )
    return convolved


def _onednn_computes(x: Tensor) -> bool:
    if x.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return x.dtype == torch.float32 or (x.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _triple(numbers: Sequence[int]) -> Triple:
    time, height, width = numbers
    return time, height, width

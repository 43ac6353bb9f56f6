"""What is subtracted from pixels, and what they are divided by, before a network sees them."""

import torch
from torch import Tensor, nn

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
KINETICS = ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))  # torchvision's video networks of 18 layers
# Mean and deviation of each colour, as shares of the brightest pixel. `nonlocal` is video-nonlocal-net's, and
# PySlowFast's: 114.75 and 57.375 of 255.
FORMS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": IMAGENET,
    "kinetics": KINETICS,
    "nonlocal": ((0.45,), (0.225,)),
    "half": ((0.5,), (0.5,)),
    "unit": ((0.0,), (1.0,)),
    "raw": ((0.0,), (1 / 255,)),
}
BRIGHTEST = 255.0


class Pixels(nn.Module):
    """Normalises pixels of 0 to 255.

    Args:
        form: Name of a form in `FORMS`.
        colours: Channels of a frame. One has the mean of the numbers of three.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, form: str, colours: int) -> None:
        super().__init__()
        mean, deviation = (torch.tensor(numbers, dtype=torch.float32, device="cpu") for numbers in FORMS[form])
        if colours == 1:
            mean, deviation = mean.mean(0, keepdim=True), deviation.mean(0, keepdim=True)
        self.register_buffer("mean", (mean * BRIGHTEST)[:, None, None], persistent=False)
        self.register_buffer("deviation", (deviation * BRIGHTEST)[:, None, None], persistent=False)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Give the pixels as numbers around 0, in float32, `[B, T, C, H, W]`."""
        return (x_BTCHW.float() - self.mean) / self.deviation

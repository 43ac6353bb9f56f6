"""The backbone that settings ask for."""

from pipeline.config import BackboneSettings, ResNetSettings, SimpleConvSettings
from pipeline.errors import PipelineError
from pipeline.recognition.backbones.frame_resnet import FrameResNet
from pipeline.recognition.backbones.simple_conv import SimpleConv

Backbone = SimpleConv | FrameResNet


def build_backbone(settings: BackboneSettings) -> Backbone:
    """Build a backbone with weights drawn from torch's generator."""
    if isinstance(settings, SimpleConvSettings):
        return SimpleConv(settings.filters, settings.colours)
    if isinstance(settings, ResNetSettings) and settings.kind == "tsm":
        return FrameResNet(settings.depth, settings.stages, settings.colours, settings.shift_share)
    raise PipelineError(f"backbone: kind: {settings.kind} is not built yet")


def colours_of(settings: BackboneSettings) -> int:
    """Channels of the frames that a backbone takes."""
    return settings.colours if isinstance(settings, SimpleConvSettings | ResNetSettings) else 3


def pixels_of(settings: BackboneSettings) -> str:
    """Name of the form that its pixels are normalised by: see `pipeline.recognition.pixels`."""
    return settings.pixels if isinstance(settings, SimpleConvSettings | ResNetSettings) else "kinetics"

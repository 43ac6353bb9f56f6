"""The backbone that settings ask for."""

from pipeline.config import BackboneSettings, ResNetSettings, SimpleConvSettings
from pipeline.recognition.backbones.frame_resnet import FrameResNet
from pipeline.recognition.backbones.simple_conv import SimpleConv
from pipeline.recognition.backbones.torchvision_video import PIXELS, TorchvisionVideo
from pipeline.recognition.backbones.video_resnet import VideoResNet

Backbone = SimpleConv | FrameResNet | VideoResNet | TorchvisionVideo

HALVED = "32x2"  # the clip whose time steps the beginning of the network halves twice


def build_backbone(settings: BackboneSettings) -> Backbone:
    """Build a backbone with weights drawn from torch's generator."""
    if isinstance(settings, SimpleConvSettings):
        return SimpleConv(settings.filters, settings.colours, settings.norm_maps)
    if not isinstance(settings, ResNetSettings):
        return TorchvisionVideo(settings.arch)
    if settings.kind == "tsm":
        return FrameResNet(settings.depth, settings.stages, settings.colours, settings.shift_share)
    return VideoResNet(settings.kind, settings.depth, settings.geometry, settings.clip == HALVED)


def colours_of(settings: BackboneSettings) -> int:
    """Channels of the frames that a backbone takes."""
    return settings.colours if isinstance(settings, SimpleConvSettings | ResNetSettings) else 3


def pixels_of(settings: BackboneSettings) -> str:
    """Name of the form that its pixels are normalised by: see `pipeline.recognition.pixels`."""
    return settings.pixels if isinstance(settings, SimpleConvSettings | ResNetSettings) else PIXELS[settings.arch]

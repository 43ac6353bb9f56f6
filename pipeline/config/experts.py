"""Find cast recognizers whose experts, as the configuration describes them, do not fit them or each other."""

from collections.abc import Mapping

from pipeline.config.encoders import (
    Clip4ClipSettings,
    ClipTowerSettings,
    EncoderSettings,
    TowerArch,
    VideoMaeArch,
    VideoMaeSettings,
)
from pipeline.config.recognizers import CastSettings, RecognizerSettings

SHARED = ("image_size", "patch_size", "width", "heads", "layers")


def unfit_experts(recognizers: Mapping[str, RecognizerSettings], encoders: Mapping[str, EncoderSettings]) -> list[str]:
    """Report what does not fit, before anything is trained.

    What a spatial expert that is an open_clip name has is known when it is loaded, and compared then.

    Args:
        recognizers: All recognizers by name.
        encoders: All encoders by name.
    """
    mistakes = []
    for name, settings in recognizers.items():
        if not isinstance(settings, CastSettings):
            continue
        place = f"recognizers.{name}"
        temporal, spatial = encoders.get(settings.temporal), encoders.get(settings.spatial)
        if isinstance(temporal, VideoMaeSettings):
            mistakes += _of_temporal(place, settings, temporal.arch)
        if isinstance(temporal, VideoMaeSettings) and isinstance(spatial, Clip4ClipSettings | ClipTowerSettings):
            mistakes += _of_both(place, settings, spatial, temporal.arch)
    return mistakes


def _of_temporal(place: str, settings: CastSettings, arch: VideoMaeArch) -> list[str]:
    """What does not fit the temporal expert."""
    wanted = (
        ("frames.number", settings.frames.number, arch.frames),
        ("augmentation.size", settings.augmentation.size, arch.image_size),
        ("views.size", settings.views.size, arch.image_size),
    )
    mistakes = [
        f"`{place}.{key}: {given}`: the temporal expert {settings.temporal} takes {expected}"
        for key, given, expected in wanted
        if given != expected
    ]
    if settings.first_block > arch.layers:
        mistakes.append(f"`{place}.first_block: {settings.first_block}`: the experts have {arch.layers} blocks")
    inner = round(arch.width * settings.ratio)
    if settings.exchange != "none" and (inner < arch.heads or inner % arch.heads):
        mistakes.append(
            f"`{place}.ratio: {settings.ratio:g}`: of the experts' width {arch.width} it makes an exchange of width "
            f"{inner}, which is no multiple of their {arch.heads} heads"
        )
    return mistakes


def _of_both(
    place: str, settings: CastSettings, spatial: Clip4ClipSettings | ClipTowerSettings, arch: VideoMaeArch
) -> list[str]:
    """What of two experts is not alike."""
    if isinstance(spatial.arch, str):
        return []
    vision = spatial.arch if isinstance(spatial.arch, TowerArch) else spatial.arch.vision
    if not isinstance(vision.layers, int):
        return [f"`{place}.spatial: {settings.spatial}`: has a ResNet as its image tower: name a vision transformer"]
    differ = [
        f"{key} {getattr(vision, key)} and {getattr(arch, key)}"
        for key in SHARED
        if getattr(vision, key) != getattr(arch, key)
    ]
    if not differ:
        return []
    return [
        f"`{place}`: its experts {settings.spatial} and {settings.temporal} must be alike, and have {', '.join(differ)}"
    ]

"""Experts that do not fit are told before anything runs."""

import json
from typing import Any

from toys.experts import CLIP_ARCH, MAE_ARCH, SETTINGS, cast_settings

from pipeline.config import Clip4ClipSettings, ClipTowerSettings, VideoMaeSettings
from pipeline.config.experts import unfit_experts


def found(changed: dict[str, Any], mae: dict[str, Any], clip: Any = CLIP_ARCH) -> list[str]:
    spatial = {"kind": "clip4clip", "weights": "random", "seed": 1, "arch": clip, "finetune": None, "precision": "fp32"}
    temporal = {"kind": "videomae", "weights": "random", "seed": 1, "arch": MAE_ARCH | mae, "pretrain": None,
                "precision": "fp32"}  # fmt: skip
    encoders = {
        "clip": Clip4ClipSettings.model_validate_json(json.dumps(spatial)),
        "mae": VideoMaeSettings.model_validate_json(json.dumps(temporal)),
    }
    return unfit_experts({"cast": cast_settings(**changed)}, encoders)


def test_experts_that_fit_are_not_reported() -> None:
    assert found({}, {}) == []
    assert found({}, {}, "ViT-B-16") == []  # open_clip knows its sizes, when it is loaded


def test_frames_of_another_number_or_size_are_reported() -> None:
    frames = SETTINGS["frames"] | {"number": 16}
    assert found({"frames": frames, "views": SETTINGS["views"] | {"size": 40}}, {}) == [
        "`recognizers.cast.frames.number: 16`: the temporal expert mae takes 8",
        "`recognizers.cast.views.size: 40`: the temporal expert mae takes 32",
    ]
    assert found({"ratio": 0.3, "exchange": "none"}, {}) == []
    assert found({"ratio": 0.3}, {}) == [
        "`recognizers.cast.ratio: 0.3`: of the experts' width 48 it makes an exchange of width 14, which is no "
        "multiple of their 4 heads"
    ]
    assert found({"first_block": 3}, {}) == ["`recognizers.cast.first_block: 3`: the experts have 2 blocks"]


def test_experts_that_are_not_alike_are_reported() -> None:
    assert found({}, {"width": 24, "layers": 3}) == [
        "`recognizers.cast`: its experts clip and mae must be alike, and have width 48 and 24, layers 2 and 3"
    ]
    tower = CLIP_ARCH["vision"] | {"activation": "quick_gelu"}
    encoders = {
        "clip": ClipTowerSettings.model_validate({"kind": "clip_tower", "weights": "cast.pth", "arch": tower}),
        "mae": VideoMaeSettings.model_validate(
            {"kind": "videomae", "weights": "cast.pth", "seed": 1, "pretrain": None, "precision": "fp32"}
            | {"arch": MAE_ARCH | {"width": 24}}
        ),
    }
    assert unfit_experts({"cast": cast_settings()}, encoders) == [
        "`recognizers.cast`: its experts clip and mae must be alike, and have width 48 and 24"
    ]
    resnet = CLIP_ARCH | {"vision": CLIP_ARCH["vision"] | {"layers": [1, 1, 1, 1], "patch_size": None}}
    assert found({}, {}, resnet) == [
        "`recognizers.cast.spatial: clip`: has a ResNet as its image tower: name a vision transformer"
    ]

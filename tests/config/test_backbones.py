"""Mistakes in the settings of backbones and modules are told by their place."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from toys.recognizers import DYREG, RSTG, SIMPLE, TSM, recognizer_settings

from pipeline.config import validate
from pipeline.errors import PipelineError

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text(encoding="utf-8"))


def config(backbone: Any, *modules: dict[str, Any]) -> dict[str, Any]:
    settings = recognizer_settings(TSM).model_dump(mode="json")
    mine = settings | {"backbone": backbone, "modules": list(modules)}
    return CONFIG | {"recognizers": (CONFIG["recognizers"] or {}) | {"mine": mine}}


def test_backbones_and_modules_of_every_kind_are_taken() -> None:
    torchvision = {"kind": "torchvision", "arch": "s3d", "weights": "a/s3d.pth", "head": "drawn", "seed": 1}
    address = {"url": "https://example.org/x.pth", "sha256": "0" * 64}
    for backbone in (SIMPLE, torchvision, {**TSM, "weights": address}):
        validate(config(backbone, {**RSTG, "at": "final"}, {**DYREG, "at": "layer1.0"}))


@pytest.mark.parametrize(("backbone", "modules", "message"), [
    ({**SIMPLE, "kind": "resnet"}, [], r"mine\.backbone\.kind`: there is no such kind .* simple_conv, tsm, c2d"),
    ({"filters": 3}, [], r"mine\.backbone\.kind`: missing"),
    (SIMPLE, [{"kind": "gcn", "at": "final"}], r"mine\.modules\.0\.kind`: there is no such kind .* one of rstg, dyreg"),
    ({**TSM, "depth": 20}, [], r"mine\.backbone\.depth`: Input should be 18, 34, 50 or 101"),
    ({**TSM, "weights": {"experiment": "digits"}}, [], r"weights\.experiment: digits`: no such entry in `experiments`"),
    (SIMPLE, [{**DYREG, "at": "final", "regions": "none"}], r"mine\.modules\.0\.regions`: Input should be 'dynamic'"),
])  # fmt: skip
def test_a_mistake_is_told_by_its_place(backbone: Any, modules: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(PipelineError, match=message) as caught:
        validate(config(backbone, *modules))
    assert "\n" not in str(caught.value)

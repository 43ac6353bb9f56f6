"""What a recognition experiment stands on."""

import json

import pytest
from pydantic import TypeAdapter
from toys.experts import CLIP_ARCH, MAE_ARCH, cast_settings
from toys.labelled_clips import settings

from pipeline.workflow.experiment_chain import ExperimentChain, chain_of

CLIPPING = {
    "fps": None, "max_frames": 9, "short_side": None, "codec": "raw", "quality": 90, "time_limit": 9.0,
    "on_bad_video": "record",
}  # fmt: skip
PROBE = {
    "kind": "probe", "features": "tsm", "head": "linear", "heads": 1, "dropout": 0.0,
    "training": {"epochs": 1, "batch_size": 1, "lr": 0.1, "weight_decay": 0.0, "per_class": None, "patience": None},
}  # fmt: skip


CLIP = {
    "kind": "clip4clip", "weights": "random", "seed": 1, "arch": CLIP_ARCH, "finetune": None, "precision": "fp32",
}  # fmt: skip
MAE = CLIP | {"kind": "videomae", "arch": MAE_ARCH, "pretrain": None}
MAE.pop("finetune")
PATHS = {"weights": "results/encoders/{encoder}/weights.safetensors"}


def config():
    experiment = {"kind": "recognition", "dataset": "d", "clipping": "all", "part": None, "seeds": [1]}
    recognizers = {"tsm": settings(), "cast": cast_settings()}
    return {
        "encoders": {"clip": CLIP, "mae": MAE, "other": MAE},
        "experiments": {name: experiment | {"recognizer": name} for name in ("tsm", "probe", "cast")},
        "clippings": {"all": CLIPPING, "other": CLIPPING},
        "recognizers": {name: of.model_dump(mode="json") for name, of in recognizers.items()} | {"probe": PROBE},
    }


def chain(name):
    return TypeAdapter(ExperimentChain).validate_json(json.dumps(chain_of(config(), name, PATHS)))


def test_a_recognizer_stands_on_its_clips_alone():
    found = chain("tsm")
    assert (found.kind, found.name, found.experiment.recognizer) == ("recognition", "tsm", "tsm")
    assert found.clipping.model_dump() == CLIPPING
    assert found.recognizer == settings()
    assert found.body is None


def test_a_probe_stands_on_the_recognizer_whose_features_it_reads():
    assert chain("probe").recognizer.head == "linear"
    assert chain("probe").body == settings()


def test_cast_stands_on_its_two_experts():
    found = chain("cast")
    assert set(found.encoders) == {"clip", "mae"}
    assert found.encoders["clip"].arch.vision.width == 48
    assert found.experts() == ["encoders/clip/weights.safetensors", "encoders/mae/weights.safetensors"]
    assert chain("tsm").experts() == []


def test_experts_lie_below_the_results_and_are_there():
    for change, message in (
        ({"weights": {"clip": "../clip", "mae": "mae"}}, "expected the path of a file below the results"),
        ({"encoders": {}}, "`recognizer: clip`: there is no such entry"),
    ):
        with pytest.raises(ValueError, match=message):
            TypeAdapter(ExperimentChain).validate_json(json.dumps(chain_of(config(), "cast", PATHS) | change))

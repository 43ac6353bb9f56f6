"""What a recognition experiment stands on."""

import json

from pydantic import TypeAdapter
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


def config():
    experiment = {"kind": "recognition", "dataset": "d", "clipping": "all", "seeds": [1]}
    return {
        "experiments": {"tsm": experiment | {"recognizer": "tsm"}, "probe": experiment | {"recognizer": "probe"}},
        "clippings": {"all": CLIPPING, "other": CLIPPING},
        "recognizers": {"tsm": settings().model_dump(mode="json"), "probe": PROBE},
    }


def chain(name):
    return TypeAdapter(ExperimentChain).validate_json(json.dumps(chain_of(config(), name, {})))


def test_a_recognizer_stands_on_its_clips_alone():
    found = chain("tsm")
    assert (found.kind, found.name, found.experiment.recognizer) == ("recognition", "tsm", "tsm")
    assert found.clipping.model_dump() == CLIPPING
    assert found.recognizer == settings()
    assert found.body is None


def test_a_probe_stands_on_the_recognizer_whose_features_it_reads():
    assert chain("probe").recognizer.head == "linear"
    assert chain("probe").body == settings()

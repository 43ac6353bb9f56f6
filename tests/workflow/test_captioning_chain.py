"""What an experiment stands on, by the default configuration."""

import json
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

from pipeline.config import validate
from pipeline.config.overlays import read_config
from pipeline.workflow.experiment_chain import ExperimentChain, chain_of

CONFIG = validate(yaml.safe_load(Path(__file__).parents[2].joinpath("config.yaml").read_text(encoding="utf-8")))
PATHS = {
    "weights": "results/encoders/{encoder}/weights.safetensors",
    "embedding": "results/knowledge/{knowledge}/embedding.safetensors",
    "triplets": "results/knowledge/{knowledge}/triplets.json",
    "model": "results/experiments/{trial}/model.safetensors",
}


@pytest.mark.parametrize(
    ("name", "encoders", "nodes", "knowledge"),
    [
        ("grid", ["clip", "i3d"], ["grid"], None),
        ("grid_knowledge", ["clip", "i3d"], ["grid"], "captions"),
        ("object", ["clip", "i3d", "objects"], ["object"], None),
        ("grid_object_knowledge", ["clip", "i3d", "objects"], ["grid", "object"], "captions"),
    ],
)
def test_all_that_is_named_and_nothing_else(name, encoders, nodes, knowledge):
    found = TypeAdapter(ExperimentChain).validate_json(
        json.dumps(chain_of(CONFIG.model_dump(mode="json"), name, PATHS))
    )
    assert (found.kind, found.name) == ("captioning", name)
    assert found.experiment == CONFIG.experiments[name]
    assert found.samplings == CONFIG.samplings
    assert found.encoders == {encoder: CONFIG.encoders[encoder] for encoder in encoders}
    assert found.nodes == {entry: CONFIG.nodes[entry] for entry in nodes}
    assert found.graph == CONFIG.graphs[CONFIG.experiments[name].graph]
    assert found.knowledge == (CONFIG.knowledge[knowledge] if knowledge else None)
    assert found.captioner == CONFIG.captioners["bidirectional"]
    assert found.vocabulary == CONFIG.vocabularies["shapes"]
    assert found.weights == {encoder: f"encoders/{encoder}/weights.safetensors" for encoder in encoders}
    assert found.embedding == (knowledge and f"knowledge/{knowledge}/embedding.safetensors")
    assert found.triplets == (knowledge and f"knowledge/{knowledge}/triplets.json")


def test_an_encoder_that_the_objects_alone_need_is_there():
    raw = CONFIG.model_dump(mode="json")
    raw["encoders"]["other"] = raw["encoders"]["clip"]
    raw["nodes"]["object"]["encoder"] = "other"
    raw["samplings"]["slow"] = raw["samplings"]["action"]
    raw["nodes"]["object"]["sampling"] = "slow"
    raw["experiments"]["grid"]["objects"] = "object"
    found = chain_of(raw, "grid", PATHS)
    assert sorted(found["encoders"]) == ["clip", "i3d", "objects", "other"]
    assert sorted(found["samplings"]) == ["action", "slow"]


def test_motion_of_a_cast_stands_on_its_model_and_on_its_experts():
    root = Path(__file__).parents[2]
    config = read_config([root / "config.yaml", root / "configs/cast_captions.yaml"])
    found = TypeAdapter(ExperimentChain).validate_json(
        json.dumps(chain_of(config.model_dump(mode="json"), "grid_cast", PATHS))
    )
    assert list(found.encoders) == ["cast_motion", "clip", "clip_vit", "videomae_shapes"]
    assert found.weights == {
        "cast_motion": "experiments/shapes_cast/model.safetensors",
        **{name: f"encoders/{name}/weights.safetensors" for name in ("clip", "clip_vit", "videomae_shapes")},
    }

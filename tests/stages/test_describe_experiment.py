import json
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

from pipeline.__main__ import stage_parser
from pipeline.config import validate
from pipeline.errors import PipelineError
from pipeline.stages.describe_experiment import run
from pipeline.workflow.experiment_chain import ExperimentChain, chain_of


@pytest.fixture
def chain():
    text = (Path(__file__).parents[2] / "config.yaml").read_text(encoding="utf-8")
    config = validate(yaml.safe_load(text)).model_dump(mode="json")
    paths = {"weights": "results/{encoder}", "embedding": "results/{knowledge}", "triplets": "results/t_{knowledge}"}
    return chain_of(config, "grid_object_knowledge", paths)


def test_what_goes_in_comes_out(tmp_path, chain):
    for out in ("one.json", "two.json"):
        run(out=tmp_path / out, settings=TypeAdapter(ExperimentChain).validate_json(json.dumps(chain)))
    assert json.loads((tmp_path / "one.json").read_text()) == chain
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_the_flag_refuses_a_chain_with_a_link_missing(chain):
    del chain["graph"]
    with pytest.raises(PipelineError, match="graph: Field required"):
        stage_parser("describe_experiment", run).parse_args(["--out", "x", "--settings", json.dumps(chain)])

import ast
from pathlib import Path

import pytest

from pipeline.schemas import SCHEMAS
from pipeline.upkeep.lineage import KINDS
from pipeline.workflow.paths import ARTIFACTS, identify

ROOT = Path(__file__).parents[2]


def test_every_path_is_identified_as_what_it_is():
    names = {"shard": "007", "split": "val"}
    words = ("dataset", "sampling", "encoder", "nodes", "graph", "knowledge", "vocabulary", "experiment", "prediction")
    names |= {word: f"{word}-1" for word in words} | {"trial": "experiment-1/seeds/20"}
    for kind, pattern in ARTIFACTS.items():
        found = identify(pattern.format(**names))
        assert found == (kind, {word: name for word, name in names.items() if f"{{{word}}}" in pattern})


@pytest.mark.parametrize(
    "path",
    [
        "results/vocabularies/.json",
        "results/vocabularies/a/b.json",
        "results/datasets/../videos/000.json",
        "results/datasets/home/videos/7.json",
        "results/experiments/grid/all/captions.json",
        "results/experiments/grid/seeds/2/settings.json",
        "results/experiments/grid/seeds/02/model.safetensors",
        "results/experiments/grid/seeds/two/model.safetensors",
        "results/experiments/grid/seeds/model.safetensors",
        "results/experiments/grid/seeds/2/seeds/3/model.safetensors",
        "other/vocabularies/shapes.json",
        "results/notes.txt",
    ],
)
def test_other_paths_are_not_ours(path):
    assert identify(path) is None


def test_every_schema_has_a_path_and_every_input_of_a_stage_a_kind():
    assert SCHEMAS.keys() == {kind for kind, pattern in ARTIFACTS.items() if pattern.endswith("zarr.json")}
    named = set()
    for file in (ROOT / "pipeline/stages").glob("*.py"):
        source = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)) if "create(" in source else ():
            is_inputs = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("inputs", "paths")
            value = node.value if is_inputs or (isinstance(node, ast.keyword) and node.arg == "inputs") else None
            if isinstance(value, ast.Dict):
                named |= {key.value for key in value.keys if isinstance(key, ast.Constant)}
    assert {"frames", "videos", "weights", "spatial", "embedding"} <= named
    assert {KINDS.get(name, name) for name in named} <= ARTIFACTS.keys()

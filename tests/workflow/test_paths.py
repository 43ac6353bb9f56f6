import re
from pathlib import Path

import pytest

from pipeline.schemas import SCHEMAS
from pipeline.workflow.paths import ARTIFACTS, identify, path_below_results


def test_every_path_is_identified_as_what_it_is():
    words = {word for pattern in ARTIFACTS.values() for word in re.findall(r"{(\w+)}", pattern)}
    names = {word: f"{word}-1" for word in words}
    names |= {"shard": "007", "split": "val", "metric": "pac_s", "trial": "experiment-1/seeds/20"}
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


def test_every_schema_has_a_path():
    assert SCHEMAS.keys() == {kind for kind, pattern in ARTIFACTS.items() if pattern.endswith("zarr.json")}


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("results/datasets/home/videos/000.json", "datasets/home/videos/000.json"),
        ("/scratch/me/out-2/datasets/home/videos/000.json", "datasets/home/videos/000.json"),
        ("datasets/home/videos/000.json", "datasets/home/videos/000.json"),  # within the results
        ("../x/../results/vocabularies/shapes.json", "vocabularies/shapes.json"),
        ("results/datasets/home/nodes/grid/000.zarr", "datasets/home/nodes/grid/000.zarr/zarr.json"),
        ("results/datasets/home/nodes/grid/000.zarr/zarr.json", "datasets/home/nodes/grid/000.zarr/zarr.json"),
        ("results/datasets/vocabularies/captions.json", "datasets/vocabularies/captions.json"),  # a data set's name
        ("/datasets/home/results/experiments/grid/model.safetensors", "experiments/grid/model.safetensors"),
    ],
)
def test_the_path_of_an_artifact_is_told_below_the_results(path, below):
    assert path_below_results(Path(path)) == below


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/me/clips/captions.csv", "captions.csv"),
        ("clips/captions.csv", "captions.csv"),
        ("/tmp/work/nodes-grid.zarr", "nodes-grid.zarr"),
        ("/tmp/work/nodes-grid.zarr/zarr.json", "nodes-grid.zarr"),
        ("results/datasets/home/videos/list of mine.json", "list of mine.json"),
    ],
)
def test_of_any_other_file_the_name_is_told_alone(path, name):
    assert path_below_results(Path(path)) == name

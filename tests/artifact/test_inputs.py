"""What provenance says: of inputs their digests and their paths below the results, of libraries all the versions."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.artifact import create, file_digest
from pipeline.artifact.inputs import record_inputs
from pipeline.artifact.writing import VERSIONED, versions
from pipeline.schemas import ArraySpec, Schema

THINGS = Schema("things", 1, "build_vocabulary", {"fps": ArraySpec("f4", ("video",))})
IDS = ["a", "b"]


def write(store: Path, inputs: dict[str, Path]) -> list[str]:
    """Make a store; returns the videos that were worked on."""
    with create(store, THINGS, ids=IDS, stage="build_vocabulary", settings={}, inputs=inputs) as writer:
        todo = writer.remaining
        for video_id in todo:
            writer.append(video_id, fps=np.array([25.0]))
    return todo


def provenance(store: Path) -> dict:
    return dict(json.loads((store / "provenance" / "zarr.json").read_text())["attributes"])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "results/datasets/home/videos/000.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    return path


def test_an_input_is_recorded_by_its_digest_and_its_path_below_the_results(tmp_path: Path, table: Path) -> None:
    frames = tmp_path / "elsewhere/datasets/home/frames/action/000.zarr"  # results may be called anything
    write(frames, {"videos": table})
    (tmp_path / "mine.csv").write_text("a,b")
    digest = "sha256:44136fa355b3678a1146ad16f7e8649e"  # of "{}"
    assert provenance(frames)["inputs"] == {"videos": {"digest": digest, "path": "datasets/home/videos/000.json"}}
    assert record_inputs({"mine": tmp_path / "mine.csv", "frames": frames}) == {
        "frames": {"digest": file_digest(frames), "path": "datasets/home/frames/action/000.zarr/zarr.json"},
        "mine": {"digest": file_digest(tmp_path / "mine.csv"), "path": "mine.csv"},
    }
    assert str(tmp_path) not in json.dumps(provenance(frames))


def test_the_root_does_not_depend_on_where_the_inputs_are(tmp_path: Path, table: Path) -> None:
    other = table.with_name("001.json")
    other.write_text("{}")
    write(tmp_path / "a.zarr", {"videos": table})
    write(tmp_path / "b.zarr", {"videos": other})
    assert (tmp_path / "a.zarr/zarr.json").read_bytes() == (tmp_path / "b.zarr/zarr.json").read_bytes()
    assert file_digest(tmp_path / "a.zarr") == file_digest(tmp_path / "b.zarr")
    assert provenance(tmp_path / "a.zarr") != provenance(tmp_path / "b.zarr")


def test_a_store_whose_results_moved_is_recovered_and_one_of_another_input_is_not(tmp_path: Path, table: Path) -> None:
    store = tmp_path / "a.zarr"
    assert write(store, {"videos": table}) == IDS
    (store / "zarr.json").unlink()  # as Snakemake does to a store that it takes for incomplete
    (tmp_path / "results").rename(tmp_path / "moved")
    moved = tmp_path / "moved/datasets/home/videos/000.json"
    assert write(store, {"videos": moved}) == []
    (store / "zarr.json").unlink()
    assert write(store, {"videos": moved.rename(moved.with_name("001.json"))}) == IDS


SAME = """
import sys
from pathlib import Path
import test_inputs as t
assert "torch" not in sys.modules
t.write(Path(sys.argv[1]), {})
"""


def test_versions_are_the_same_whatever_a_process_has_imported(tmp_path: Path) -> None:
    import torch

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    subprocess.run([sys.executable, "-c", SAME, str(tmp_path / "a.zarr")], env=environment, check=True)
    write(tmp_path / "b.zarr", {})
    assert provenance(tmp_path / "a.zarr") == provenance(tmp_path / "b.zarr")
    told = provenance(tmp_path / "a.zarr")["versions"]
    assert told == versions()
    assert told.keys() == {"python", *VERSIONED}
    assert torch.__version__.startswith(told["torch"])

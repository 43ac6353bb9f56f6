"""A folder of results with a chain of tiny artifacts in it: videos, frames, nodes, weights, captions."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.artifact import create, write_json
from pipeline.artifact.inputs import record_inputs
from pipeline.schemas import FRAMES, SPATIAL_GRAPHS, Schema
from pipeline.upkeep.inventory import take_inventory
from pipeline.upkeep.verification import verify
from pipeline.weights.saving import save_weights

IDS = ["a.mp4", "b.mp4"]
FRAMES_OF_HOME = "datasets/home/frames/action/000.zarr"
GRAPHS_OF_HOME = "datasets/home/spatial_graphs/grid/000.zarr"
NODES_OF_HOME = "datasets/home/nodes/grid/000.zarr"


def write_store(path: Path, schema: Schema, inputs: dict[str, Path], value: int = 1, rows: int = 3) -> None:
    """Two videos, all of whose numbers are `value`."""
    stage = schema.stage.partition(" ")[0]
    widths = {"rgb": 3, "xyxy": 4, "hw": 2, "feature": 5, "motion_feature": 6}
    with create(path, schema, ids=IDS, stage=stage, settings={}, inputs=inputs) as writer:
        for video_id in writer.remaining:
            arrays = {}
            for name, spec in schema.arrays.items():
                length = 1 if spec.dims[0] == "video" else rows
                arrays[name] = np.full((length, *[widths[dim] for dim in spec.dims[1:]]), value, np.dtype(spec.dtype))
            writer.append(video_id, **arrays)


def found_in(results):
    """State, path below the results, and the reason, of all that is not fine."""
    inventory = take_inventory(results)
    return [(f.state, f.place.relative_to(inventory.results).as_posix(), f.reason, f) for f in verify(inventory)]


def only(results):
    [(state, place, reason, finding)] = found_in(results)
    return state, place, reason, finding


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """`results` of a project, all of it fine."""
    from pipeline.schemas import NODES

    folder = tmp_path / "results"
    source = tmp_path / "videos"
    source.mkdir()
    for number, name in enumerate(IDS):
        (source / name).write_bytes(b"video" * (number + 1))
    table = folder / "datasets/home/videos/000.json"
    videos = [{"id": name, "path": name, "size": 5 * (number + 1)} for number, name in enumerate(IDS)]
    write_json(table, {"root": "videos", "videos": videos})
    frames, nodes = folder / FRAMES_OF_HOME, folder / NODES_OF_HOME
    weights, model = folder / "encoders/clip/weights.safetensors", folder / "experiments/grid/model.safetensors"
    save_weights({"w": torch.ones(4)}, weights, {"origin": "random"})
    save_weights({"w": torch.ones(2)}, model, {})
    write_store(frames, FRAMES, {"videos": table})
    write_store(nodes, NODES, {"frames": frames, "weights": weights})
    write_store(folder / GRAPHS_OF_HOME, SPATIAL_GRAPHS, {"nodes": nodes})
    captions = {"captions": {}, "inputs": record_inputs({"model": model})}
    write_json(folder / "experiments/grid/test/captions.json", captions)
    (folder / "experiments/grid/curves.csv").write_text("epoch,loss\n1,2.5\n", encoding="utf-8")
    return folder

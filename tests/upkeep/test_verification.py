"""Whether artifacts still are what their inputs make: fine, stale, orphaned."""

import json
import shutil

import pytest

from pipeline.artifact import file_digest, write_json
from pipeline.artifact.inputs import record_inputs
from pipeline.schemas import FRAMES, NODES, SPATIAL_GRAPHS
from pipeline.upkeep.inventory import take_inventory
from pipeline.upkeep.verification import summary

from .conftest import FRAMES_OF_HOME, GRAPHS_OF_HOME, NODES_OF_HOME, found_in, only, write_store


def test_all_is_well(results):
    inventory = take_inventory(results)
    assert found_in(results) == []
    assert [found.kind for found in inventory.artifacts] == [
        "frames", "nodes", "spatial_graphs", "videos", "weights", "curves", "model", "generated"
    ]  # fmt: skip
    assert summary(inventory, []) == "8 artifacts: all is well"


def test_an_older_schema(results):
    root = results / NODES_OF_HOME / "zarr.json"
    content = json.loads(root.read_text())
    content["attributes"]["version"] = 1
    root.write_text(json.dumps(content))
    state, place, reason, finding = found_in(results)[0]
    assert (state, place, finding.remove) == ("stale", NODES_OF_HOME, True)
    assert reason == "holds nodes version 1, expected version 2"


def test_a_changed_input_makes_stale_what_stands_on_it(results):
    shutil.rmtree(results / FRAMES_OF_HOME)
    write_store(results / FRAMES_OF_HOME, FRAMES, {"videos": results / "datasets/home/videos/000.json"}, value=2)
    (state, place, reason, finding), (after, graphs, through, _) = found_in(results)
    assert (state, place, finding.remove) == ("stale", NODES_OF_HOME, False)
    assert reason.startswith(f"its input frames (results/{FRAMES_OF_HOME}/zarr.json) was sha256:")
    assert reason.endswith(f", {file_digest(results / FRAMES_OF_HOME)} now")
    assert (after, graphs) == ("stale", GRAPHS_OF_HOME)
    assert through == f"stands on results/{NODES_OF_HOME}/zarr.json, which is stale"


def test_an_input_made_again_the_same_makes_nothing_stale(results):
    shutil.rmtree(results / FRAMES_OF_HOME)
    write_store(results / FRAMES_OF_HOME, FRAMES, {"videos": results / "datasets/home/videos/000.json"})
    assert found_in(results) == []


def test_an_input_is_looked_for_where_it_was_and_nowhere_else(results):
    other = results / "datasets/home/nodes/coarse/000.zarr"
    inputs = {"frames": results / FRAMES_OF_HOME, "weights": results / "encoders/clip/weights.safetensors"}
    write_store(other, NODES, inputs, value=3)
    write_store(results / "datasets/home/spatial_graphs/coarse/000.zarr", SPATIAL_GRAPHS, {"nodes": other})
    assert found_in(results) == []
    other.rename(other.with_name("001.zarr"))  # the same bytes, elsewhere
    state, place, reason, _ = only(results)
    assert (state, place) == ("orphaned", "datasets/home/spatial_graphs/coarse/000.zarr")
    assert reason == "its input nodes (results/datasets/home/nodes/coarse/000.zarr/zarr.json) is not there any more"


def test_an_input_of_elsewhere_is_an_orphan_s(results, tmp_path):
    """Nobody can tell whether a file of one's own is still what it was: the path to it is not recorded."""
    shutil.copytree(results / NODES_OF_HOME, tmp_path / "mine.zarr")
    shutil.rmtree(results / GRAPHS_OF_HOME)
    write_store(results / GRAPHS_OF_HOME, SPATIAL_GRAPHS, {"nodes": tmp_path / "mine.zarr"})
    state, place, reason, _ = only(results)
    assert (state, place) == ("orphaned", GRAPHS_OF_HOME)
    assert reason == "its input nodes (mine.zarr) is nothing that the workflow makes now"


@pytest.mark.parametrize("path", ["../secret.json", "/etc/passwd", "datasets/../../secret.json", 5, "notes.txt"])
def test_a_recorded_path_leads_to_artifacts_alone(results, path):
    kept = results / GRAPHS_OF_HOME / "provenance/zarr.json"
    content = json.loads(kept.read_text())
    content["attributes"]["inputs"]["nodes"]["path"] = path
    kept.write_text(json.dumps(content))
    state, place, reason, _ = only(results)
    assert (state, place) == ("orphaned", GRAPHS_OF_HOME)
    assert reason == f"its input nodes ({path}) is nothing that the workflow makes now"


def test_an_input_behind_a_link_is_not_there(results, tmp_path):
    shutil.move(results / NODES_OF_HOME, tmp_path / "elsewhere.zarr")
    (results / NODES_OF_HOME).symlink_to(tmp_path / "elsewhere.zarr")
    state, place, reason, _ = only(results)
    assert (state, place) == ("orphaned", GRAPHS_OF_HOME)
    assert "is not there any more" in reason


def test_what_an_earlier_version_made_is_stale_and_is_not_removed(results):
    """Its provenance holds digests alone, its captions the digest of the model."""
    kept = results / GRAPHS_OF_HOME / "provenance/zarr.json"
    content = json.loads(kept.read_text())
    content["attributes"]["inputs"] = {"nodes": content["attributes"]["inputs"]["nodes"]["digest"]}
    kept.write_text(json.dumps(content))
    write_json(results / "experiments/grid/test/captions.json", {"captions": {}, "model": "sha256:0"})
    found = [(state, place, reason, finding.remove) for state, place, reason, finding in found_in(results)]
    reason = "does not say where its inputs are: an earlier version of the workflow made it"
    assert found == [
        ("stale", GRAPHS_OF_HOME, reason, False),
        ("stale", "experiments/grid/test/captions.json", reason, False),
    ]


def test_a_removed_input_leaves_orphans(results):
    shutil.rmtree(results / NODES_OF_HOME)
    state, place, reason, finding = only(results)
    assert (state, place, finding.remove) == ("orphaned", GRAPHS_OF_HOME, False)
    assert "its input nodes (results/datasets/home/nodes/grid/000.zarr/zarr.json) is not there any more" in reason


def test_videos(results):
    table = "datasets/home/videos/000.json"
    (results.parent / "videos/a.mp4").write_bytes(b"longer than it was")
    found = {place: (state, reason) for state, place, reason, _ in found_in(results)}
    assert found[table] == ("stale", "video a.mp4 (videos/a.mp4) had 5 bytes, 18 now")
    assert found[FRAMES_OF_HOME] == ("stale", f"stands on results/{table}, which is stale")
    assert found.keys() == {table, FRAMES_OF_HOME, NODES_OF_HOME, GRAPHS_OF_HOME}
    (results.parent / "videos/a.mp4").unlink()
    found = {place: (state, reason) for state, place, reason, _ in found_in(results)}
    assert found[table] == ("orphaned", "video a.mp4 (videos/a.mp4) is not there any more")
    assert found[FRAMES_OF_HOME] == ("stale", f"stands on results/{table}, which is orphaned")


def test_generated_videos_are_compared_with_their_digests(results):
    made = results / "datasets/shapes/made/000"
    made.mkdir(parents=True)
    (made / "train-0.mp4").write_bytes(b"abc")
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"
    listed = {"id": "train-0", "file": "train-0.mp4", "size": 3, "sha256": sha256, "split": "train", "captions": ["a"]}
    tabled = {"id": "train-0", "path": "train-0.mp4", "size": 3, "sha256": sha256}
    write_json(made / "list.json", {"videos": [listed]})
    table = {"root": "results/datasets/shapes/made/000", "videos": [tabled]}
    write_json(results / "datasets/shapes/videos/000.json", table)
    assert found_in(results) == []
    (made / "train-0.mp4").write_bytes(b"abe")
    state, place, reason, finding = only(results)
    assert (state, place, finding.remove) == ("damaged", "datasets/shapes/made/000/list.json", True)
    assert "train-0" in reason
    (made / "train-0.mp4").unlink()  # the list is made again, and the table is what it was
    assert only(results)[:2] == ("damaged", "datasets/shapes/made/000/list.json")


def test_lists_of_drawn_clips_have_no_files_and_folders_of_frames_have_many(results):
    made = results / "datasets/digits/made/000"
    made.mkdir(parents=True)
    write_json(made / "list.json", {"classes": ["0", "1"], "videos": [{"id": "a", "split": "val", "label": 1}]})
    write_json(made / "truth.json", {"videos": {"a": {}}, "canvas": 100})
    frames = results.parent / "frames"
    frames.mkdir()
    for number in (1, 2):
        (frames / f"{number:05d}.jpg").write_bytes(bytes(number))
    entry = {"id": "1", "path": "frames", "size": 3, "pattern": "%05d.jpg"}
    table = results / "datasets/folders/videos/000.json"
    write_json(table, {"root": str(results.parent), "videos": [entry]})
    assert found_in(results) == []
    (frames / "00002.jpg").write_bytes(b"other")
    assert only(results)[2].endswith("had 3 bytes, 6 now")
    (made / "list.json").write_text('{"videos": [{"id": "a"}]}')
    assert ("damaged", "datasets/digits/made/000/list.json") in [found[:2] for found in found_in(results)]


def test_captions_of_another_model(results):
    inputs = {"model": {"digest": "sha256:0", "path": "experiments/grid/model.safetensors"}}
    write_json(results / "experiments/grid/test/captions.json", {"captions": {}, "inputs": inputs})
    state, place, reason, _ = only(results)
    assert (state, place) == ("stale", "experiments/grid/test/captions.json")
    assert "its input model (results/experiments/grid/model.safetensors) was sha256:0" in reason
    assert "if nobody made it again it is damaged: snakemake --force results/experiments/grid/model.safetens" in reason


def test_captions_of_every_seed_go_with_the_model_of_that_seed(results):
    torch = pytest.importorskip("torch")
    from pipeline.weights.saving import save_weights

    trial = results / "experiments/grid/seeds/2"
    save_weights({"w": torch.full((2,), 2.0)}, trial / "model.safetensors", {})
    inputs = record_inputs({"model": trial / "model.safetensors"})
    write_json(trial / "test/captions.json", {"captions": {}, "inputs": inputs})
    of_first = {
        "experiment": "grid",
        "inputs": record_inputs({"model": results / "experiments/grid/model.safetensors"}),
    }
    write_json(results / "predictions/holiday/captions.json", of_first | {"videos": {}, "missing": {}})
    assert inputs["model"]["path"] == "experiments/grid/seeds/2/model.safetensors"
    assert found_in(results) == []
    kinds = [found.kind for found in take_inventory(results).artifacts if "seeds/2" in found.target]
    assert kinds == ["model", "generated"]
    save_weights({"w": torch.full((2,), 3.0)}, trial / "model.safetensors", {})
    state, place, reason, finding = only(results)
    assert (state, place) == ("stale", "experiments/grid/seeds/2/test/captions.json")
    assert "its input model (results/experiments/grid/seeds/2/model.safetensors) was" in reason
    assert finding.command() == "snakemake --force results/experiments/grid/seeds/2/test/captions.json"


def test_weights_and_the_file_they_came_from(results):
    torch = pytest.importorskip("torch")
    from pipeline.weights.saving import save_weights

    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    weights = results / "encoders/i3d/weights.safetensors"
    save_weights({"w": torch.ones(3)}, weights, {"origin": f"file rgb.pt sha256 {sha256}"})
    (results.parent / "rgb.pt").write_bytes(b"abc")
    settings = {"kind": "captioning", "name": "grid", "experiment": {}, "encoders": {"i3d": {"weights": "rgb.pt"}}}
    write_json(results / "experiments/grid/settings.json", settings)
    assert found_in(results) == []
    (results.parent / "rgb.pt").write_bytes(b"abe")
    assert only(results)[:2] == ("stale", "encoders/i3d/weights.safetensors")
    (results.parent / "rgb.pt").unlink()
    assert only(results)[:2] == ("orphaned", "encoders/i3d/weights.safetensors")


def test_what_stands_on_a_damaged_artifact_is_judged_when_that_is_mended(results):
    """The model may be made again as it was; and if not, its captions are stale then."""
    model = results / "experiments/grid/model.safetensors"
    whole = model.read_bytes()
    captions = {"captions": {}, "missing": [], "inputs": record_inputs({"model": model})}
    write_json(results / "experiments/grid/test/captions.json", captions)
    model.write_bytes(whole[:-1])
    assert only(results)[:2] == ("damaged", "experiments/grid/model.safetensors")
    model.write_bytes(whole)
    assert found_in(results) == []

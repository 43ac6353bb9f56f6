"""What else lies among results: what killed jobs left, links, and files that are not ours."""

import shutil

from pipeline.artifact import store_path
from pipeline.upkeep.inventory import take_inventory
from pipeline.upkeep.verification import summary, verify

from .conftest import FRAMES_OF_HOME, GRAPHS_OF_HOME, flip, found_in, only


def test_what_a_killed_job_left(results):
    (results / "datasets/home/frames/action/.000.zarr.new").mkdir()
    (results / "datasets/home/frames/action/.000.zarr.partial").mkdir()
    (results / "datasets/home/frames/action/.001.zarr.partial").mkdir()
    (results / "experiments/grid/.curves.csv.new").write_text("")
    (results / "experiments/grid/.vimrc.new").write_text("not ours")
    found = [(state, place, finding.remove) for state, place, _, finding in found_in(results)]
    assert found == [
        ("left behind", "datasets/home/frames/action/.000.zarr.new", True),
        ("left behind", "datasets/home/frames/action/.000.zarr.partial", True),
        ("unfinished", "datasets/home/frames/action/.001.zarr.partial", False),  # the next job goes on from it
        ("left behind", "experiments/grid/.curves.csv.new", True),
    ]
    assert found_in(results)[2][3].command() == "snakemake results/datasets/home/frames/action/001.zarr/zarr.json"


def test_a_store_that_is_being_made_again_is_unfinished(results):
    """Snakemake deletes the root of a store before its job begins."""
    (results / GRAPHS_OF_HOME / "zarr.json").unlink()
    assert only(results)[:3] == ("damaged", GRAPHS_OF_HOME, "zarr.json is missing")
    store = results / GRAPHS_OF_HOME
    store.with_name(f".{store.name}.partial").mkdir()
    assert only(results)[0] == "unfinished"


def test_links_are_not_followed(results, tmp_path):
    outside = tmp_path / "outside"
    shutil.copytree(results / "datasets", outside)
    flip(outside / "home/frames/action/000.zarr/pixels/c/0/0", 5)
    (results / "datasets/other").symlink_to(outside / "home")
    (results / "loop").symlink_to(results)
    (results / "vocabularies").mkdir()
    (results / "vocabularies/shapes.json").symlink_to(outside / "nothing")
    inventory = take_inventory(results)
    assert verify(inventory) == []
    assert summary(inventory, []) == "8 artifacts: all is well (3 links not followed)"


def test_files_that_are_not_ours(results):
    for name in ("notes.txt", "datasets/home/videos/readme.md", "vocabularies/deep/a.json", "vocabularies/.hidden"):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text("mine")
    (results / "vocabularies/zarr.json").write_text("a vocabulary may be called zarr")
    assert only(results)[:2] == ("damaged", "vocabularies/zarr.json")
    assert len(take_inventory(results).foreign) == 4


def test_what_the_page_loads_is_ours(results):
    names = ("index.html", "data.js", "page.js", "vendor/x.js", "media/home/a.mp4", "maps/home/a.js", "mine.txt")
    for name in names:
        (results / "report" / name).parent.mkdir(parents=True, exist_ok=True)
        (results / "report" / name).write_text("")
    inventory = take_inventory(results)
    assert [path.name for path in inventory.foreign] == ["mine.txt"]
    [page] = [found for found in inventory.artifacts if found.kind == "report"]
    beside = [path.relative_to(results / "report").as_posix() for path in inventory.videos_beside(page)]
    assert beside == ["data.js", "maps/home/a.js", "media/home/a.mp4", "page.js", "vendor/x.js"]


def test_the_root_of_a_store_stands_for_the_store(results):
    places = {found.target: found.place for found in take_inventory(results).artifacts}
    assert places[f"results/{FRAMES_OF_HOME}/zarr.json"] == store_path(results / FRAMES_OF_HOME / "zarr.json")

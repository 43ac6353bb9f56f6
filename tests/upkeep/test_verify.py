"""The command `verify`: what it says, and what `--mend` removes and what it never does."""

import shutil

import pytest

from pipeline.commands import verify as verify_command
from pipeline.errors import PipelineError
from pipeline.upkeep import removal
from pipeline.upkeep.inventory import take_inventory

from .conftest import FRAMES_OF_HOME, GRAPHS_OF_HOME, NODES_OF_HOME


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() or path.is_symlink()}


def test_all_is_well(results, capsys):
    assert verify_command.main([str(results)]) == 0
    assert capsys.readouterr().out == "8 artifacts: all is well\n"


def test_it_says_what_mends_and_removes_nothing(results, capsys):
    (results / NODES_OF_HOME / "box/c/0/0").unlink()
    before = files(results)
    assert verify_command.main([str(results)]) == 2
    [line, summary] = capsys.readouterr().out.splitlines()
    store = f"results/{NODES_OF_HOME}"
    assert line == f"damaged: {store}: file box/c/0/0 is missing: snakemake --force {store}/zarr.json"
    assert summary == "8 artifacts: 1 damaged"
    assert files(results) == before


def test_mend_removes_what_is_damaged_and_nothing_else(results, tmp_path, capsys):
    (results / NODES_OF_HOME / "box/c/0/0").unlink()
    (results / "experiments/grid/test/captions.json").write_text("{")
    (results / "experiments/grid/.curves.csv.new").write_text("")
    progress = results / "datasets/home/frames/action/.001.zarr.partial"
    progress.mkdir()
    (progress / "journal.jsonl").write_text("")
    (results / "notes.txt").write_text("mine")
    (tmp_path / "precious").write_text("x")
    (results / "vocabularies").symlink_to(tmp_path)
    before = files(results)
    assert verify_command.main([str(results), "--mend"]) == 2  # the unfinished store is for Snakemake
    gone = before - files(results)
    assert {name for name in gone if not name.startswith(NODES_OF_HOME)} == {
        "experiments/grid/test/captions.json",
        "experiments/grid/.curves.csv.new",
    }
    assert not (results / NODES_OF_HOME).exists()
    assert (tmp_path / "precious").read_text() == "x"
    said = capsys.readouterr().out
    assert f"removed results/{NODES_OF_HOME} (0.0 MB)" in said
    targets = f"results/{NODES_OF_HOME}/zarr.json results/experiments/grid/test/captions.json"
    assert said.splitlines()[-1] == f"to make them again: snakemake all {targets}"
    assert verify_command.main([str(results)]) == 2
    said = capsys.readouterr().out
    assert f"orphaned: results/{GRAPHS_OF_HOME}: its input nodes" in said
    assert "damaged" not in said


def test_mend_ends_well_if_all_is_removed(results):
    (results / GRAPHS_OF_HOME / "source/c/0").unlink()
    assert verify_command.main([str(results), "--mend"]) == 0
    assert verify_command.main([str(results)]) == 0


def test_a_link_within_a_damaged_store_is_deleted_and_not_what_it_leads_to(results, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (results / GRAPHS_OF_HOME / "more").symlink_to(outside)
    assert verify_command.main([str(results), "--mend"]) == 0
    assert not (results / GRAPHS_OF_HOME).exists()
    assert (outside / "precious").read_text() == "x"


def test_a_kill_in_the_middle_of_mending_leaves_no_half_store(results, monkeypatch):
    (results / GRAPHS_OF_HOME / "source/c/0").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", lambda path: (path / "zarr.json").unlink() or exec_kill())
        with pytest.raises(KeyboardInterrupt):
            verify_command.main([str(results), "--mend"])
    assert not (results / GRAPHS_OF_HOME).exists()
    assert verify_command.main([str(results)]) == 2  # left behind
    assert verify_command.main([str(results), "--mend"]) == 0
    assert list((results / GRAPHS_OF_HOME).parent.iterdir()) == []


def exec_kill():
    raise KeyboardInterrupt


def test_nothing_is_removed_while_snakemake_works(results):
    (results / GRAPHS_OF_HOME / "source/c/0").unlink()
    lock = results.parent / ".snakemake/locks/0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("")
    with pytest.raises(PipelineError, match="snakemake --unlock"):
        verify_command.main([str(results), "--mend"])
    assert (results / GRAPHS_OF_HOME).is_dir()
    assert verify_command.main([str(results)]) == 2  # looking is always possible


def test_results_may_be_a_link(results, tmp_path):
    """Relative paths of videos start at the project, wherever the results are kept."""
    results.rename(tmp_path / "scratch")
    results.symlink_to(tmp_path / "scratch")
    assert verify_command.main([str(results)]) == 0


def test_no_such_folder(tmp_path):
    with pytest.raises(PipelineError, match="no such folder"):
        verify_command.main([str(tmp_path / "nothing")])


def test_what_became_a_link_or_lies_elsewhere_is_not_removed(results, tmp_path):
    inventory = take_inventory(results)
    shutil.move(results / FRAMES_OF_HOME, tmp_path / "elsewhere")
    (results / FRAMES_OF_HOME).symlink_to(tmp_path / "elsewhere")
    for place in (results / FRAMES_OF_HOME, tmp_path / "elsewhere"):
        with pytest.raises(PipelineError, match="left alone"):
            removal.remove(inventory, place)
    assert (tmp_path / "elsewhere/zarr.json").is_file()


def test_names_of_videos_cannot_write_lines(results, capsys):
    table = results / "datasets/home/videos/000.json"
    table.write_text(table.read_text().replace('"a.mp4"', '"a\\nall is well\\u001b[2J"'))
    assert verify_command.main([str(results)]) == 2
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert all(line.startswith(("damaged: ", "stale: ", "8 artifacts: ")) for line in said.splitlines())

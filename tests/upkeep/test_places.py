"""The command `verify` at places other than the results of a project: copies, parts, single stores, and nothing."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.commands import verify as verify_command
from pipeline.errors import PipelineError

from .conftest import FRAMES_OF_HOME, GRAPHS_OF_HOME, NODES_OF_HOME


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str]]:
    code = verify_command.main([str(argument) for argument in arguments])
    return code, capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("name", ["000.zarr", "a copy.zarr", "of_friday"])
def test_a_flipped_byte_is_found_in_one_store_anywhere(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    store = tmp_path / "copies" / name
    shutil.copytree(results / FRAMES_OF_HOME, store)
    well = ["1 stores outside of results, by their own digests: all is well"]
    for place in (store.parent, store, store / "zarr.json"):
        assert said(capsys, place) == (0, well)
    flip(store / "pixels/c/0/0")
    for place in (store.parent, store, store / "zarr.json"):
        code, (line, summary) = said(capsys, place, "--mend")
        assert (code, summary) == (2, "1 stores outside of results, by their own digests: 1 damaged")
        assert line.startswith(f"damaged: {store}: array `pixels` is damaged")
        assert line.endswith(": copy it again from where it was made")
    assert store.is_dir()  # nothing would make it again here


@pytest.mark.parametrize("root", ["", "{", '{"attributes": {}}', None])
def test_a_store_whose_root_is_damaged_is_still_known_by_its_provenance(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], root: str | None
) -> None:
    store = tmp_path / "copies/nodes.zarr"
    shutil.copytree(results / NODES_OF_HOME, store)
    (store / "zarr.json").unlink()
    if root is not None:
        (store / "zarr.json").write_text(root)
    code, (line, _) = said(capsys, store.parent)
    assert code == 2
    assert line.startswith(f"damaged: {store}: ")


def test_results_under_another_name_and_folders_around_them(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results.rename(tmp_path / "of_friday")
    results = tmp_path / "of_friday"
    for place in (results, tmp_path):
        assert said(capsys, place) == (0, ["8 artifacts: all is well"])
    flip(results / FRAMES_OF_HOME / "time/c/0")
    for place in (results, tmp_path):
        code, lines = said(capsys, place)
        assert (code, lines[-1]) == (2, "8 artifacts: 1 damaged")


def test_a_part_of_results_is_compared_with_its_inputs(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part, count in (("datasets/home", 4), ("datasets/home/nodes", 1), (NODES_OF_HOME, 1), ("encoders", 1)):
        assert said(capsys, results / part) == (0, [f"{count} artifacts: all is well"])
    assert said(capsys, results / "experiments/grid/curves.csv") == (0, ["1 artifacts: all is well"])
    shutil.rmtree(results / FRAMES_OF_HOME)
    code, (line, _) = said(capsys, results / NODES_OF_HOME)
    assert code == 2
    assert line.startswith(f"orphaned: results/{NODES_OF_HOME}: its input frames")


def test_bytes_alone_are_compared_in_a_copy_without_its_inputs(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(results / GRAPHS_OF_HOME, copy / GRAPHS_OF_HOME)
    assert said(capsys, copy)[0] == 2  # its nodes are not there
    assert said(capsys, copy, "--bytes") == (0, ["1 artifacts: all is well"])
    flip(copy / GRAPHS_OF_HOME / "source/c/0")
    code, (line, _) = said(capsys, copy, "--bytes")
    assert code == 2
    assert line.startswith(f"damaged: results/{GRAPHS_OF_HOME}: array `source` is damaged")


def test_several_projects_are_told_apart(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copytree(results, tmp_path / name / "results")
        shutil.copytree(tmp_path / "videos", tmp_path / name / "videos")
    shutil.rmtree(results)
    (tmp_path / "two/results" / NODES_OF_HOME / "box/c/0/0").unlink()
    code, lines = said(capsys, tmp_path)
    two = tmp_path.resolve() / "two/results"
    assert code == 2
    assert lines[0] == f"{tmp_path.resolve()}/one/results: 8 artifacts: all is well"
    assert lines[1].startswith(f"damaged: {two}/{NODES_OF_HOME}: file box/c/0/0 is missing")
    assert lines[2] == f"{two}: 8 artifacts: 1 damaged"


def test_nothing_to_verify_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither an empty folder, nor other people's files and Zarr stores, are well."""
    (tmp_path / "notes.txt").write_text("mine")
    foreign = tmp_path / "weather.zarr"
    foreign.mkdir()
    (foreign / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}))
    for place in (tmp_path, foreign):
        with pytest.raises(PipelineError, match="nothing to verify"):
            verify_command.main([str(place)])
        assert main(["verify", str(place)]) == 2
    assert capsys.readouterr().out == ""

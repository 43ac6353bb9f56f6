"""Stages record the version of the package that runs, installed or not."""

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from pipeline.artifact import writing
from pipeline.workflow import own_version

ROOT = Path(__file__).parents[2]


def test_a_package_that_is_not_installed_knows_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an environment that conda made for a job: there, every stage ended in a traceback."""
    known = metadata.version

    def not_installed(name: str) -> str:
        if name == "clipgraph":
            raise metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(metadata, "version", not_installed)
    writing.versions.cache_clear()
    of_project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert writing.versions()["clipgraph"] == of_project
    assert own_version.version("numpy") == known("numpy")
    writing.versions.cache_clear()


def test_without_its_project_file_it_is_the_installed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_version, "PACKAGE", tmp_path / "pipeline")
    own_version._of_checkout.cache_clear()
    assert own_version.version("clipgraph") == metadata.version("clipgraph")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "mine"\nversion = "9"\n', encoding="utf-8")
    own_version._of_checkout.cache_clear()
    assert own_version.version("clipgraph") == metadata.version("clipgraph")
    own_version._of_checkout.cache_clear()

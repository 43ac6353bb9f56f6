"""A copy of the project with a tiny run in it, made once; every test works on a copy of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from toys.project_sources import copy_sources
from toys.tiny_project import Project, write_home, write_unseen

UNITS = {
    "test_code_digest.py",
    "test_captioning_chain.py",
    "test_own_version.py",
    "test_paths.py",
    "test_planned.py",
    "test_shards.py",
    "test_terminal_lines.py",
    "test_trials.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever runs Snakemake is slow; the tests of `pipeline.workflow` itself are not."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.path.name not in UNITS:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny run, done. Look at it; change only copies of it."""
    root = tmp_path_factory.mktemp("tiny")
    copy_sources(root)
    shutil.copy2(Path(__file__).with_name("tiny.yaml"), root / "tiny.yaml")
    write_home(root)
    write_unseen(root)
    project = Project(root)
    project.output = project.run()
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Iterator[Project]:
    """A copy of the finished tiny run, with all times as they were."""
    root = tmp_path / "project"
    shutil.copytree(finished.root, root, copy_function=shutil.copy2)
    yield Project(root)
    shutil.rmtree(root)

"""Seeds, the undisturbed run that all others are compared with, and a table of what struck when."""

import os
import random
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from .comparison import check_results, check_works
from .project import Project, make_project
from .strikes import Missed, Strike, num_finished

SHIFT = int(os.environ.get("FAULT_SEED", "0"))  # other moments than the usual ones
TRIES = 4  # at moments drawn anew, where the work was over before the fault came

Struck = TypeVar("Struck")
ROWS = pytest.StashKey[list[list[str]]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


def seeded(*runs: tuple[str, int] | int) -> pytest.MarkDecorator:
    """A run for each seed, or for each pair of a word and a seed; `what` is the word."""
    pairs = [run if isinstance(run, tuple) else ("", run) for run in runs]
    return pytest.mark.parametrize(
        ("what", "seed"),
        [pytest.param(what, seed + SHIFT, id=f"{what}-seed{seed + SHIFT}".lstrip("-")) for what, seed in pairs],
    )


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The whole line in one call that nothing disturbed. Look at it; strike copies of it."""
    project = make_project(tmp_path_factory.mktemp("undisturbed"))
    try:
        project.run()
        yield project
    finally:
        project.end()


@dataclass
class Faults:
    """What a test strikes, and a row of the table at the end.

    Attributes:
        undisturbed: The run to compare with.
        folder: Where copies of it go.
        rng: What moments are drawn from.
        seed: What it was made of.
        name: Of the fault.
        row: Of the table: when it struck, videos finished then, of these done again.
    """

    undisturbed: Project
    folder: Path
    rng: random.Random
    seed: int
    name: str
    row: list[str] | None = None
    project: Project | None = None
    tries: int = 1

    def copy(self, capabilities: str = "") -> Project:
        """A copy of the finished run, to be struck."""
        if self.project is not None:
            self.project.end()
            shutil.rmtree(self.project.root)
        self.project = self.undisturbed.copy(self.folder / "project", capabilities)
        return self.project

    def strike(self, attempt: Callable[[], Struck]) -> Struck:
        """Strike, at another moment if nothing was at work any more; a fault that never strikes is a failure."""
        for number in range(1, TRIES + 1):
            try:
                struck = attempt()
            except Missed:
                continue
            self.tries = number
            return struck
        pytest.fail(f"{self.name}, seed {self.seed}: the work was over {TRIES} times before the fault came")

    def check(self, strike: Strike, made: Collection[tuple[str, str]]) -> None:
        """After the second call: all is as in the undisturbed run, and no finished video was done again.

        Args:
            strike: What struck.
            made: Stages and shards that the calls made. No other was worked on.
        """
        assert self.project is not None
        check_results(self.project, self.undisturbed)
        redone = check_works(self.project, self.undisturbed, strike, made)
        self.tell(strike.when, num_finished(strike.finished), redone)

    def tell(self, when: str, finished: int | str, redone: int | str) -> None:
        """Fill in the row of the table."""
        again = f" (try {self.tries})" if self.tries > 1 else ""
        self.row = [when + again, str(finished), str(redone)]


@pytest.fixture
def faults(
    request: pytest.FixtureRequest, undisturbed: Project, tmp_path: Path, what: str, seed: int
) -> Iterator[Faults]:
    """See `Faults`. Whatever still runs after the test is killed, and the copy removed."""
    name = f"{request.node.originalname.removeprefix('test_')} {what}".strip()
    faults = Faults(undisturbed, tmp_path, random.Random(f"{name} {seed}"), seed, name)
    start = time.monotonic()
    yield faults
    seconds = time.monotonic() - start
    if faults.project is not None:
        faults.project.end()
    row = faults.row or ["did not end well", "", ""]
    request.config.stash.setdefault(ROWS, []).append([name, str(seed), *row, f"{seconds:.0f}"])
    print(f"\n{name}: seed {seed}: {row[0]}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What struck when."""
    rows = config.stash.get(ROWS, [])
    if not rows:
        return
    table = [["fault", "seed", "struck at", "videos finished", "done again", "seconds"], *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    terminalreporter.section("faults")
    for row in table:
        terminalreporter.write_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))

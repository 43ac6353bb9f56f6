"""Bytes on disk that change: `verify --mend` removes what they belong to, and the next call makes it again."""

from pathlib import Path

from .conftest import Faults, seeded
from .project import KINDS, Project, stores_of, target_of
from .strikes import Strike

CHANGES = {
    "flipped": lambda content, place: content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :],
    "truncated": lambda content, place: content[:place],
}


@seeded(("flipped", 51), ("truncated", 53), ("removed", 54))
def test_rows_on_disk(faults: Faults, what: str) -> None:
    """A file of rows in a finished store; `verify --mend` before the second call."""
    project = faults.copy()
    files = sorted(path for path in (project.results / "datasets").rglob("c/**/*") if path.is_file())
    mend(faults, project, faults.rng.choice(files), what)


@seeded(("truncated", 55), ("truncated", 56))
def test_json_on_disk(faults: Faults, what: str) -> None:
    """A JSON artifact, or what a store says of itself."""
    project = faults.copy()
    mend(faults, project, faults.rng.choice(sorted(project.results.rglob("*.json"))), what)


def mend(faults: Faults, project: Project, damaged: Path, what: str) -> None:
    """Damage a file, let `verify` remove what it belongs to, and call again."""
    content = damaged.read_bytes()
    place = faults.rng.randrange(len(content) - 2)  # without its line end a JSON file is still whole
    if what == "removed":
        damaged.unlink()
    else:
        damaged.write_bytes(CHANGES[what](content, place))
    found = project.verify()
    assert found.returncode == 2, found.stdout
    told = project.verify("--mend").stdout.splitlines()[-1]
    before, _, targets = told.partition(": snakemake all ")
    assert before == "to make them again", told
    below = damaged.relative_to(project.root).as_posix()
    assert below.startswith(targets.removesuffix("/zarr.json"))  # one, and the right one
    project.run(targets)
    made = [pair for pair in stores_of(*KINDS) if target_of(*pair) == targets]
    strike = Strike(f"{below}, byte {place} of {len(content)}", 0, {pair: [] for pair in made})
    faults.check(strike, made)

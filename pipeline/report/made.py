"""Say how the page's artifacts were made: seconds of each stage, digests, the commit of the code, changed settings."""

import csv
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from pipeline.config import validate
from pipeline.report.dag import Stage
from pipeline.report.stores import Store
from pipeline.workflow.code_digest import PACKAGE


def describe_stages(stages: Mapping[str, Stage], logs: Path, stores: Sequence[Store]) -> list[dict[str, Any]]:
    """Describe each stage behind the page.

    Args:
        stages: The stages by name.
        logs: The folder of logs, in which Snakemake has written what each job took; it need not be there.
        stores: The stores of the data sets.

    Returns:
        For each stage `name`, `jobs`, `seconds` (sum over its jobs; None where nothing is known), `memory` (the most of
        one of them, in MB; None where nothing is known), `size` (of its stores in words; "" where it has none) and
        `digests`: name of an artifact to the digest over its shards.
    """
    rows = []
    for name, stage in stages.items():
        own = [store for store in stores if store.stage == name]
        seconds, memory = benchmarks_of(logs / name, "s"), benchmarks_of(logs / name, "max_rss")
        rows.append(
            {
                "name": name,
                "jobs": stage.jobs,
                "seconds": sum(seconds) if seconds else None,
                "memory": max(memory, default=None),
                "size": size_of(sum(store.num_bytes for store in own)),
                "digests": digests_of(own),
            }
        )
    return rows


def notes_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """What the drawing says of each stage behind its jobs: seconds, and bytes where it has stores."""
    return {
        row["name"]: ("" if row["seconds"] is None else f", {row['seconds']:.0f} s")
        + (f", {row['size']}" if row["size"] else "")
        for row in rows
    }


def benchmarks_of(folder: Path, column: str) -> list[float]:
    """What the benchmark files below a stage's folder of logs tell of the last run of each job, such as seconds (`s`).

    A job that ended at once has no memory: Snakemake notes `-` or `NA` in its place, and it is left out.
    """
    found = []
    for path in sorted(folder.rglob("*.tsv")):
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        if rows and rows[-1].get(column) not in (None, "", "-", "NA"):
            found.append(float(rows[-1][column]))
    return found


def size_of(num_bytes: int) -> str:
    """A number of bytes in words, such as "12.3 MB"; "" for none."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if num_bytes >= factor:
            return f"{num_bytes / factor:.1f} {unit}"
    return f"{num_bytes} B" if num_bytes else ""


def digests_of(stores: Iterable[Store]) -> dict[str, str]:
    """The digest of each artifact: of one shard its own, of several that of theirs, one after the other."""
    shards: dict[str, list[str]] = {}
    for store in stores:
        shards.setdefault(f"{store.dataset}/{store.name}", []).append(store.artifact.digest)
    return {
        name: of[0] if len(of) == 1 else sha256("".join(of).encode()).hexdigest() for name, of in sorted(shards.items())
    }


def commit_of(folder: Path = PACKAGE.parent) -> str | None:
    """The commit of the code's checkout, with a word if files differ from it; None where the code is in no checkout."""
    git = ["git", "-C", str(folder)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit} with changes" if changed else commit


def changed_settings(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """List the settings that differ from the defaults.

    Args:
        config: The whole configuration.
        defaults: That of the code's own `config.yaml`.

    Returns:
        Of each changed, added or absent setting its place, such as `graphs.grid.similarity.top_k`, the default and the
        value, "-" where there is none.
    """
    own, other = _flat(config), _flat(defaults)
    places = sorted(own.keys() | other.keys())
    return [(at, other.get(at, "-"), own.get(at, "-")) for at in places if own.get(at) != other.get(at)]


def default_settings(file: Path = PACKAGE.parent / "config.yaml") -> dict[str, Any] | None:
    """The settings of the code's own `config.yaml`; None where the code lies without it.

    Raises:
        PipelineError: The file is no valid configuration.
    """
    if not file.is_file():
        return None
    return validate(yaml.safe_load(file.read_text(encoding="utf-8"))).model_dump(mode="json")


def _flat(settings: Any, at: str = "") -> dict[str, str]:
    if isinstance(settings, Mapping) and settings:
        return {
            place: value
            for key, below in settings.items()
            for place, value in _flat(below, f"{at}.{key}" if at else str(key)).items()
        }
    return {at: str(settings)}

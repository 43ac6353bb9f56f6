"""Look at every artifact and say what is not fine, with the command that mends it."""

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DamagedError, OutdatedError
from pipeline.jobs.progress import track
from pipeline.upkeep.contents import check_contents
from pipeline.upkeep.inventory import Found, Inventory
from pipeline.upkeep.lineage import Changed, Gone, Lineage


@dataclass(frozen=True)
class Finding:
    """Something that is not fine.

    Attributes:
        state: `damaged`, `stale`, `orphaned`, `unfinished`, `left behind` or `unreadable`.
        place: Of what.
        target: What Snakemake is to make for it; of what is unreadable, where it is.
        reason: What was found.
        remove: Whether `--mend` removes it: nothing can use it, and Snakemake would not notice by itself.
    """

    state: str
    place: Path
    target: str
    reason: str
    remove: bool

    def command(self) -> str:
        """What mends it."""
        if self.state == "left behind":
            return "python -m pipeline verify --mend"
        if self.state == "unreadable":
            return f"ls -l {shlex.quote(self.target)}"
        force = "" if self.state == "unfinished" else "--force "
        return f"snakemake {force}{shlex.quote(self.target)}"


def verify(inventory: Inventory) -> list[Finding]:
    """Everything that is not fine, in the order of the paths.

    Whether an artifact is stale cannot be told while an input of it is damaged: it may be made again as it was.
    """
    lineage = Lineage(inventory)
    findings: list[Finding] = []
    inputs: dict[str, list[Path]] = {}
    changed: dict[Path, Path] = {}  # by artifact, the input that is another than it was
    unfinished = {leftover.of.target for leftover in inventory.leftovers if leftover.is_progress}
    for found in track(inventory.artifacts, len(inventory.artifacts), "verify"):
        if found.target in unfinished:
            continue  # what an interrupted job is to replace
        try:
            check_contents(found)
            inputs[found.target] = lineage.check(found)
        except OSError as error:  # no right to; or an input, a video say, is on a disk that fails
            findings.append(Finding("unreadable", found.place, found.target, str(error), remove=False))
        except DamagedError as error:
            findings.append(Finding("damaged", found.place, found.target, str(error), remove=True))
        except OutdatedError as error:
            findings.append(Finding("stale", found.place, found.target, str(error), remove=True))
        except (Changed, Gone) as error:
            damaged = found.kind == "made"  # it is whole with its videos alone
            state = "damaged" if damaged else "stale" if isinstance(error, Changed) else "orphaned"
            if isinstance(error, Changed) and error.input_file is not None:
                changed[found.place] = _place(error.input_file)
            findings.append(Finding(state, found.place, found.target, str(error), remove=damaged))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            # JSON of another shape than any stage gives it
            reason = f"holds something else than it should: {error!r}"
            findings.append(Finding("damaged", found.place, found.target, reason, remove=True))
    broken = {finding.place for finding in findings if finding.state == "damaged"}
    findings = [finding for finding in findings if changed.get(finding.place) not in broken]
    findings += inherited(inventory.artifacts, inputs, findings)
    for leftover in inventory.leftovers:
        of = leftover.of.target
        state = "unfinished" if leftover.is_progress else "left behind"
        reason = f"finished videos of {of}" if leftover.is_progress else f"of {of}, by a job that was killed"
        findings.append(Finding(state, leftover.place, of, reason, remove=not leftover.is_progress))
    for folder, reason in inventory.unreadable.items():
        findings.append(Finding("unreadable", folder, str(folder), reason, remove=False))
    return sorted(findings, key=lambda finding: finding.place)


def inherited(
    artifacts: Sequence[Found], inputs: Mapping[str, list[Path]], findings: Iterable[Finding]
) -> list[Finding]:
    """Artifacts that are fine themselves and stand on one that will change: a stale or an orphaned one."""
    shaky = {finding.place: finding.state for finding in findings if finding.state in ("stale", "orphaned")}
    targets = {found.place: found.target for found in artifacts}
    told: list[Finding] = []
    before = -1
    while len(told) != before:  # until nothing more stands on what was found
        before = len(told)
        for found in artifacts:
            if found.place in shaky:
                continue
            below = [_place(path) for path in inputs.get(found.target, [])]
            under = next((path for path in below if path in shaky), None)
            if under is not None:
                shaky[found.place] = "stale"
                reason = f"stands on {targets[under]}, which is {shaky[under]}"
                told.append(Finding("stale", found.place, found.target, reason, remove=False))
    return told


def _place(path: Path) -> Path:
    """What is deleted with an artifact, by its file."""
    return path.parent if path.name == "zarr.json" else path


def summary(inventory: Inventory, findings: Iterable[Finding]) -> str:
    """One line."""
    states = Counter(finding.state for finding in findings)
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "all is well"
    notes = [
        f"{len(some)} {what}"
        for some, what in ((inventory.links, "links not followed"), (inventory.foreign, "files that are not ours"))
        if some
    ]
    return f"{len(inventory.artifacts)} artifacts: {told}" + (f" ({', '.join(notes)})" if notes else "")

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
    """An artifact, a hidden sibling of one, or a folder that is not fine.

    Attributes:
        state: `damaged`, `stale`, `orphaned`, `unfinished`, `left behind` or `unreadable`.
        place: Path of the file or folder.
        target: The target of Snakemake that makes it; for a folder that cannot be listed, its path; empty for a store
            outside any results.
        reason: What was found, in words.
        remove: Whether `--mend` removes it: nothing can use it, and Snakemake would not notice by itself.
    """

    state: str
    place: Path
    target: str
    reason: str
    remove: bool

    def command(self) -> str:
        """What mends it: a shell command, if there is one; or the command that shows who may read it."""
        if not self.target:
            return "copy it again from where it was made"
        if self.state == "left behind":
            return "python -m pipeline verify --mend"
        if self.state == "unreadable":
            return f"ls -l {shlex.quote(self.target)}"
        force = "" if self.state == "unfinished" else "--force "
        return f"snakemake {force}{shlex.quote(self.target)}"


def verify(inventory: Inventory, *, compare_inputs: bool = True) -> list[Finding]:
    """Check every artifact and list what is not fine, in the order of the paths.

    An artifact is not called stale because an input has changed that is damaged: the input may be made again as it was.

    Args:
        inventory: What there is.
        compare_inputs: Whether to compare artifacts with what they were made from; otherwise only with their own
            checksums and digests. A list of generated videos is compared with its videos always.
    """
    lineage = Lineage(inventory)
    findings: list[Finding] = []
    inputs: dict[str, list[Path]] = {}
    changed: dict[Path, Path] = {}  # by artifact, the input that is not what it was
    unfinished = {leftover.of.target for leftover in inventory.leftovers if leftover.is_progress}
    for found in track(inventory.artifacts, len(inventory.artifacts), "verify"):
        if found.target in unfinished:
            continue  # an interrupted job will replace it
        try:
            check_contents(found)
            if compare_inputs or found.kind == "made":
                inputs[found.target] = lineage.check(found)
        except OSError as error:  # no permission to read it; or an input, such as a video, is on a disk that fails
            findings.append(Finding("unreadable", found.place, found.target, str(error), remove=False))
        except DamagedError as error:
            findings.append(Finding("damaged", found.place, found.target, str(error), remove=True))
        except OutdatedError as error:
            findings.append(Finding("stale", found.place, found.target, str(error), remove=True))
        except (Changed, Gone) as error:
            damaged = found.kind == "made"  # a list of generated videos is whole only with its videos
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


def verify_outside(stores: Sequence[Found]) -> list[Finding]:
    """Check stores that are outside any results by their own checksums and digests, and list those that are not fine.

    None is to be removed, because nothing would make it again here.
    """
    findings = []
    for found in track(stores, len(stores), "verify"):
        try:
            check_contents(found)
        except OSError as error:
            findings.append(Finding("unreadable", found.place, str(found.place), str(error), remove=False))
        except DamagedError as error:
            findings.append(Finding("damaged", found.place, "", str(error), remove=False))
        except OutdatedError as error:
            findings.append(Finding("stale", found.place, "", str(error), remove=False))
    return findings


def inherited(
    artifacts: Sequence[Found], inputs: Mapping[str, list[Path]], findings: Iterable[Finding]
) -> list[Finding]:
    """Find artifacts that are fine themselves but are made, directly or not, from a stale or an orphaned one.

    Args:
        artifacts: All artifacts.
        inputs: Files that an artifact was made from, by its target.
        findings: What is not fine by itself.
    """
    shaky = {finding.place: finding.state for finding in findings if finding.state in ("stale", "orphaned")}
    targets = {found.place: found.target for found in artifacts}
    told: list[Finding] = []
    before = -1
    while len(told) != before:  # until no further artifact is found
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
    """The place of an artifact, given its file: a store's folder, or the file itself."""
    return path.parent if path.name == "zarr.json" else path


def summary(inventory: Inventory, findings: Iterable[Finding]) -> str:
    """Say in one line how many artifacts there are, and how many findings of each state."""
    told = states(findings)
    notes = [
        f"{len(some)} {what}"
        for some, what in ((inventory.links, "links not followed"), (inventory.foreign, "files that are not ours"))
        if some
    ]
    return f"{len(inventory.artifacts)} artifacts: {told}" + (f" ({', '.join(notes)})" if notes else "")


def states(findings: Iterable[Finding]) -> str:
    """How many findings there are of each state, in words."""
    counts = Counter(finding.state for finding in findings)
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "all is well"

"""Look at every artifact at a place and say what is damaged, stale or orphaned, and what mends it.

    python -m pipeline verify results/
    python -m pipeline verify results/ --mend && snakemake
    python -m pipeline verify /backup/of/anything --bytes

The place may be a folder of results under any name, a part of one, a folder with several, or a store anywhere. With
`--mend`, what is damaged is removed, and artifacts that are newer than now, because the clock was moved back, are set
to now. Data are read again and compared with their checksums and digests, a few chunks at a time.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.upkeep.clock import ahead_of_now, bring_back, hours_ahead
from pipeline.upkeep.inventory import Found, Inventory
from pipeline.upkeep.places import look_at
from pipeline.upkeep.removal import expect_nobody_at_work, remove
from pipeline.upkeep.verification import Finding, states, summary, verify, verify_outside

SUMMARY = "Say which results are damaged, stale or orphaned, and what mends them."


def main(arguments: Sequence[str]) -> int:
    """Verify the results.

    Args:
        arguments: The arguments after `verify`.

    Returns:
        The exit code: 0 if all is well, or if all that was not is mended; otherwise 2.

    Raises:
        PipelineError: if there is no such place or nothing to verify; with `--mend`, if Snakemake is at work there.
    """
    parser = argparse.ArgumentParser(prog="python -m pipeline verify", description=SUMMARY)
    parser.add_argument(
        "place",
        nargs="?",
        type=Path,
        default=Path("results"),
        metavar="PLACE",
        help="a folder of results, a part of one, a folder with several, or a store (results)",
    )
    parser.add_argument(
        "--bytes",
        action="store_true",
        help="compare artifacts with their own checksums and digests alone, and not with their inputs: for copies",
    )
    parser.add_argument(
        "--mend",
        action="store_true",
        help="remove what is damaged, so that the next call of Snakemake makes it again; and set artifacts that are "
        "newer than now to now",
    )
    chosen = parser.parse_args(arguments)
    inventories, outside = look_at(chosen.place)
    if chosen.mend:
        for inventory in inventories:
            expect_nobody_at_work(inventory)
    is_alone = len(inventories) == 1 and not outside
    well = [
        report(inventory, "" if is_alone else f"{inventory.results}: ", mend=chosen.mend, by_bytes=chosen.bytes)
        for inventory in inventories
    ]
    if outside:
        well.append(report_outside(outside))
    sys.stdout.flush()
    return 0 if all(well) else 2


def report(inventory: Inventory, prefix: str, *, mend: bool, by_bytes: bool) -> bool:
    """Verify one folder of results, and print and mend what is not fine.

    Args:
        inventory: What lies in it.
        prefix: What its lines begin with that are of no artifact; empty if it is the only one.
        mend: Whether to remove what is damaged, and to set what is newer than now to now.
        by_bytes: Whether to leave inputs out.

    Returns:
        Whether all is well in the end.
    """
    findings = verify(inventory, compare_inputs=not by_bytes)
    folder = str(inventory.results) if prefix else "results"
    shown = {finding: f"{folder}/{finding.place.relative_to(inventory.results).as_posix()}" for finding in findings}
    for finding in findings:
        print(line(finding, shown[finding]))
    print(prefix + summary(inventory, findings))
    removed = [finding for finding in findings if finding.remove] if mend else []
    for finding in removed:
        num_bytes = remove(inventory, finding.place)
        print(f"removed {shown[finding]} ({num_bytes / 1e6:.1f} MB)", flush=True)
    in_time = check_times(inventory, mend=mend)
    targets = dict.fromkeys(finding.target for finding in removed if finding.state != "left behind")
    if targets:
        print(f"{prefix}to make them again: snakemake all {shlex.join(targets)}")
    return len(removed) == len(findings) and in_time


def report_outside(stores: Sequence[Found]) -> bool:
    """Check stores outside any results by their own digests, print what is not fine, and return whether all is well."""
    findings = verify_outside(stores)
    for finding in findings:
        print(line(finding, str(finding.place)))
    print(f"{len(stores)} stores outside of results, by their own digests: {states(findings)}")
    return not findings


def check_times(inventory: Inventory, *, mend: bool) -> bool:
    """Print how many artifacts are newer than now, if any; with `mend`, set their times to now.

    Returns:
        Whether none is newer than now any more.
    """
    times = ahead_of_now(inventory)
    if not times:
        return True
    ahead = f"{len(times)} artifacts are newer than now, by up to {hours_ahead(times.values()):.1f} h"
    if not mend:
        print(f"{ahead}: Snakemake fails the jobs that read them: python -m pipeline verify --mend")
        return False
    left = bring_back(times)
    print(f"{ahead}: {len(times) - len(left)} were set to now")
    if left:
        print(f"{len(left)} could not be set to now, {left[0]} among them: touch them as their owner")
    return not left


def line(finding: Finding, shown: str) -> str:
    """One line about a finding, without line ends that the name of a video may hold.

    Args:
        finding: The finding.
        shown: Its path as the line shows it.
    """
    text = f"{finding.state}: {shown}: {finding.reason}: {finding.command()}"
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)

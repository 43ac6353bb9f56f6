"""Look at every artifact below the results and say what is damaged, stale or orphaned, and what mends it.

    python -m pipeline verify results/
    python -m pipeline verify results/ --mend && snakemake

With `--mend`, what is damaged is removed, and artifacts that are newer than now, because the clock was moved back, are
set to now. Data are read again and compared with their checksums and digests, a few chunks at a time.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.upkeep.clock import ahead_of_now, bring_back, hours_ahead
from pipeline.upkeep.inventory import Inventory, take_inventory
from pipeline.upkeep.removal import expect_nobody_at_work, remove
from pipeline.upkeep.verification import Finding, summary, verify

SUMMARY = "Say which results are damaged, stale or orphaned, and what mends them."


def main(arguments: Sequence[str]) -> int:
    """Verify the results.

    Args:
        arguments: The arguments after `verify`.

    Returns:
        The exit code: 0 if all is well, or if all that was not is mended; otherwise 2.

    Raises:
        PipelineError: if there is no such folder; with `--mend`, if Snakemake is at work in it.
    """
    parser = argparse.ArgumentParser(prog="python -m pipeline verify", description=SUMMARY)
    parser.add_argument("results", nargs="?", type=Path, default=Path("results"), metavar="DIR", help="(results)")
    parser.add_argument(
        "--mend",
        action="store_true",
        help="remove what is damaged, so that the next call of Snakemake makes it again; and set artifacts that are "
        "newer than now to now",
    )
    chosen = parser.parse_args(arguments)
    inventory = take_inventory(chosen.results)
    if chosen.mend:
        expect_nobody_at_work(inventory)
    findings = verify(inventory)
    shown = {finding: f"results/{finding.place.relative_to(inventory.results).as_posix()}" for finding in findings}
    for finding in findings:
        print(line(finding, shown[finding]))
    print(summary(inventory, findings))
    removed = [finding for finding in findings if finding.remove] if chosen.mend else []
    for finding in removed:
        num_bytes = remove(inventory, finding.place)
        print(f"removed {shown[finding]} ({num_bytes / 1e6:.1f} MB)", flush=True)
    in_time = check_times(inventory, mend=chosen.mend)
    targets = dict.fromkeys(finding.target for finding in removed if finding.state != "left behind")
    if targets:
        print(f"to make them again: snakemake all {shlex.join(targets)}")
    sys.stdout.flush()
    return 0 if len(removed) == len(findings) and in_time else 2


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
        shown: Its path as the line shows it, from `results/` on.
    """
    text = f"{finding.state}: {shown}: {finding.reason}: {finding.command()}"
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)

"""Two calls at once, and a clock that is moved back."""

import os
import signal
import time

from .conftest import Faults, seeded
from .project import Call, Project, stores_of, targets_of
from .strikes import Missed, Strike, committed, draw_moment, send, wait_for, wait_for_end

DAY = 86400.0  # seconds


def start_two(faults: Faults, stage: str, *options: str) -> tuple[Call, Call, str]:
    """Two calls that want the same, the second up to a second after the first; both have ended."""
    project = faults.copy()
    targets = project.remove(stage)
    apart = faults.rng.uniform(0.0, 1.0)
    first = project.start(*options, *targets)
    time.sleep(apart)
    second = project.start(*options, *targets)
    first.finish()
    second.finish()
    project.wait_until_quiet()
    return first, second, f"{stage}, {apart:.2f} s apart"


@seeded(("decode_frames", 61), ("extract_i3d", 62))
def test_two_calls_at_once(faults: Faults, what: str) -> None:
    """Snakemake refuses one of them, and the other makes everything."""

    def attempt() -> Strike:
        first, second, when = start_two(faults, what)
        refused = [call for call in (first, second) if call.finish() != 0]
        if not refused:
            raise Missed
        assert len(refused) == 1
        assert "LockException" in refused[0].output()
        return Strike(when, time.monotonic_ns())

    strike = faults.strike(attempt)
    assert "Nothing to be done" in faults.project.run(*targets_of(what))
    faults.check(strike, stores_of(what))


@seeded(("decode_frames", 63), ("extract_i3d", 64))
def test_two_calls_at_once_without_locks(faults: Faults, what: str) -> None:
    """Told not to lock, Snakemake lets two jobs make one store: the second waits, and takes what the first made."""

    def attempt() -> Strike:
        first, second, when = start_two(faults, what, "--nolock")
        made = [
            {target for target in targets_of(what) if f"output: {target}" in call.output()} for call in (first, second)
        ]
        if not made[0] & made[1]:
            raise Missed
        return Strike(when, time.monotonic_ns())

    strike = faults.strike(attempt)
    faults.project.run(*targets_of(what))
    faults.check(strike, stores_of(what))


@seeded(("decode_frames", 65), ("extract_i3d", 66))
def test_clock_moved_back(faults: Faults, what: str) -> None:
    """A job is killed; the clock goes back by up to a day, so that all there is is of the future.

    Snakemake refuses such inputs until `verify --mend` has brought them back.
    """

    def attempt() -> Strike:
        project = faults.copy()
        moment = draw_moment(faults.rng, what)
        call = project.start(*project.remove(what))
        process = wait_for(project, call, moment)
        send(process, signal.SIGKILL)
        wait_for_end(process)
        strike = Strike(str(moment), time.monotonic_ns())
        strike.finished[what, moment.shard] = committed(project, what, moment.shard)
        assert call.finish() != 0, call.output()
        ahead = faults.rng.uniform(60.0, DAY)
        age(project, ahead)
        strike.when += f", {ahead / 3600:.1f} h back"
        return strike

    strike = faults.strike(attempt)
    mended = faults.project.verify("--mend")
    assert "were set to now" in mended.stdout, mended.stdout + mended.stderr
    faults.project.run(*targets_of(what))
    faults.check(strike, stores_of(what))


def age(project: Project, seconds: float) -> None:
    """Let every file seem as much newer: as if the clock had been moved back since. The code too."""
    for path in [project.root, *project.root.rglob("*")]:
        if not path.is_symlink():
            status = path.stat()
            os.utime(path, (status.st_atime + seconds, status.st_mtime + seconds))

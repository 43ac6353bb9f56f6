"""Two calls at once, and a clock that is moved back."""

import os
import signal
import time

from .conftest import Faults, seeded
from .project import Project, stores_of, targets_of
from .strikes import Missed, Strike, committed, draw_moment, send, wait_for, wait_for_end

DAY = 86400.0  # seconds


@seeded(("decode_frames", 61))
def test_two_calls_at_once(faults: Faults, what: str) -> None:
    """Snakemake refuses the second one, and the first goes on."""

    def attempt() -> Strike:
        project = faults.copy()
        moment = draw_moment(faults.rng, what)
        first = project.start(*project.remove(what))
        wait_for(project, first, moment)
        second = project.start(*targets_of(what))
        assert second.finish() != 0
        if not first.is_running():
            raise Missed
        assert "LockException" in second.output()
        assert first.finish() == 0, first.output()
        return Strike(str(moment), time.monotonic_ns())

    strike = faults.strike(attempt)
    faults.project.run(*targets_of(what))
    faults.check(strike, stores_of(what))


@seeded(("decode_frames", 63))
def test_two_calls_at_once_without_locks(faults: Faults, what: str) -> None:
    """Told not to lock, Snakemake lets two jobs write one store; one of them refuses."""

    def attempt() -> Strike:
        project = faults.copy()
        moment = draw_moment(faults.rng, what)
        first = project.start(*project.remove(what))
        wait_for(project, first, moment)
        second = project.start("--nolock", *targets_of(what))
        codes = first.finish(), second.finish()
        if codes == (0, 0):
            raise Missed
        told = first.output() + second.output()
        assert "Traceback" not in told
        if "is being written by another process" not in told:
            raise Missed
        return Strike(str(moment), time.monotonic_ns())

    strike = faults.strike(attempt)
    faults.project.run(*targets_of(what))
    faults.check(strike, stores_of(what))


@seeded(("decode_frames", 65), ("extract_i3d", 66))
def test_clock_moved_back(faults: Faults, what: str) -> None:
    """A job is killed; the clock goes back by up to a day, so that all there is is of the future."""

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
    faults.project.run(*targets_of(what))
    faults.check(strike, stores_of(what))


def age(project: Project, seconds: float) -> None:
    """Let every file seem as much newer: as if the clock had been moved back since. The code too."""
    for path in [project.root, *project.root.rglob("*")]:
        if not path.is_symlink():
            status = path.stat()
            os.utime(path, (status.st_atime + seconds, status.st_mtime + seconds))

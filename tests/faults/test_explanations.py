"""Explanations that are killed go on with the next video, to the same bytes."""

import shutil
import signal
import time

from .comparison import check_results
from .conftest import Faults, seeded
from .project import target_of
from .strikes import LONGEST_DELAY, Missed, Moment, committed, send, wait_for, wait_for_end


def strike_explanation(faults: Faults, stage: str, number: signal.Signals) -> None:
    """Send a signal to a stage that explains captions, and call again."""
    explained = committed(faults.undisturbed, stage, "")
    told: list[str] = []

    def attempt() -> list[str]:
        project = faults.copy()
        shutil.rmtree((project.root / target_of(stage)).parent)
        delay = faults.rng.uniform(0, LONGEST_DELAY[stage])
        moment = Moment(stage, "", faults.rng.randrange(len(explained)), delay)
        call = project.start(target_of(stage))
        process = wait_for(project, call, moment)
        send(process, number)
        wait_for_end(process)
        told[:] = [str(moment)]
        if call.finish() == 0:
            raise Missed
        return committed(project, stage, "")

    finished = faults.strike(attempt)
    project, again = faults.project, time.monotonic_ns()
    assert project is not None
    project.run(target_of(stage))
    check_results(project, faults.undisturbed)
    once, after = faults.undisturbed.works(), project.works(since=again)
    redone = [name for name in finished if after[stage, name] == once[stage, name]]
    assert not redone, f"explained again although they were finished: {redone}"
    faults.tell(told[0], len(finished), len(redone))


@seeded(("explain_maps", 51), ("explain_graphs", 52))
def test_sigkill_of_an_explanation(faults: Faults, what: str) -> None:
    strike_explanation(faults, what, signal.SIGKILL)


@seeded(("explain_maps", 53), ("explain_graphs", 54))
def test_sigterm_to_an_explanation(faults: Faults, what: str) -> None:
    strike_explanation(faults, what, signal.SIGTERM)

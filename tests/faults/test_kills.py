"""SIGKILL and SIGTERM: to one job, to Snakemake, to all of it."""

import signal
import time

from .conftest import Faults, seeded
from .project import KINDS, stores_of, targets_of
from .strikes import Missed, Strike, all_committed, committed, draw_moment, kill_all, send, wait_for, wait_for_end


@seeded(
    ("decode_frames", 1),
    ("decode_frames", 2),
    ("extract_i3d", 4),
    ("extract_maps", 5),
    ("build_grid_nodes", 6),
    ("build_spatial_graphs", 7),
    ("convert_graphs", 9),
)
def test_sigkill_of_a_job(faults: Faults, what: str) -> None:
    strike = faults.strike(lambda: signal_job(faults, what, signal.SIGKILL))
    faults.project.run(*targets_of(what))
    faults.check(strike, stores_of(what))


def signal_job(faults: Faults, stage: str, number: signal.Signals) -> Strike:
    """Let one stage run, and send a signal to one of its two jobs."""
    project = faults.copy()
    moment = draw_moment(faults.rng, stage)
    call = project.start(*project.remove(stage))
    process = wait_for(project, call, moment)
    send(process, number)
    wait_for_end(process)
    strike = Strike(str(moment), time.monotonic_ns())
    strike.finished[stage, moment.shard] = committed(project, stage, moment.shard)
    code = call.finish()  # when the other shard is done
    if number == signal.SIGTERM and code == 0:
        raise Missed  # in the last video: the job is done with it, and there is nothing to go on with
    assert code != 0, call.output()
    return strike


@seeded(("decode_frames", 11), ("everything", 13), ("everything", 14))
def test_sigkill_of_snakemake_and_its_jobs(faults: Faults, what: str) -> None:
    stages = list(KINDS) if what == "everything" else [what]

    def attempt() -> Strike:
        project = faults.copy()
        moment = draw_moment(faults.rng, faults.rng.choice(stages))
        call = project.start(*start_over(faults, what))
        wait_for(project, call, moment)
        kill_all(project, call)
        return Strike(str(moment), time.monotonic_ns(), all_committed(project, stages))

    strike = faults.strike(attempt)
    faults.project.run("--unlock")
    faults.project.run(*([] if what == "everything" else targets_of(what)))
    faults.check(strike, stores_of(*stages))


def start_over(faults: Faults, what: str) -> list[str]:
    """Remove the results of one stage, or of everything; returns what to ask Snakemake for."""
    if what != "everything":
        return faults.project.remove(what)
    faults.project.clear()
    return []


@seeded(("decode_frames", 15), ("extract_i3d", 16))
def test_sigkill_of_snakemake_alone(faults: Faults, what: str) -> None:
    """Its jobs live on and are still at work when it is called again: the new ones wait for what these make."""

    def attempt() -> Strike:
        project = faults.copy()
        moment = draw_moment(faults.rng, what)
        call = project.start(*project.remove(what))
        wait_for(project, call, moment)
        call.process.kill()
        call.process.wait()
        return Strike(str(moment), time.monotonic_ns())

    strike = faults.strike(attempt)
    project = faults.project
    project.run("--unlock")
    project.run(*targets_of(what))
    faults.check(strike, stores_of(what))


@seeded(("decode_frames", 21), ("extract_i3d", 22), ("extract_maps", 23), ("build_grid_nodes", 30))
def test_sigterm_to_a_job(faults: Faults, what: str) -> None:
    strike = faults.strike(lambda: signal_job(faults, what, signal.SIGTERM))
    faults.project.run(*targets_of(what))
    faults.check(strike, stores_of(what))


@seeded(("decode_frames", 24), ("extract_i3d", 25))
def test_sigterm_to_the_group_of_snakemake(faults: Faults, what: str) -> None:
    def attempt() -> Strike:
        project = faults.copy()
        moment = draw_moment(faults.rng, what)
        call = project.start(*project.remove(what))
        wait_for(project, call, moment)
        call.signal_group(signal.SIGTERM)
        if call.finish() == 0:
            raise Missed
        project.wait_until_quiet()
        return Strike(str(moment), time.monotonic_ns(), all_committed(project, [what]))

    strike = faults.strike(attempt)
    faults.project.run(*targets_of(what))
    faults.check(strike, stores_of(what))

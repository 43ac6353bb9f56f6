"""Decoders that die, hang or crash: one video at most is lost, and the others are as they would have been."""

import shutil
import signal

import numpy as np
import psutil

from pipeline.artifact import read
from pipeline.schemas import SCHEMAS

from .comparison import check_results
from .conftest import Faults, seeded
from .project import KINDS, NUM_VIDEOS, Project, stores_of, target_of, videos_of
from .strikes import Missed, draw_moment, is_alive, send, wait_for

TIME_LIMIT = "30 s"  # of tiny.yaml
REASONS = {
    "hang": f"decoding took longer than {TIME_LIMIT} (time_limit)",
    "crash": "the decoder crashed on it (SIGSEGV)",
}


@seeded(("decode_frames", 71))
def test_sigkill_of_a_decoder(faults: Faults, what: str) -> None:
    """As the kernel does when memory is short: the video is given to another one, and the call ends well."""

    def attempt() -> str:
        project = faults.copy()
        moment = draw_moment(faults.rng, what)
        call = project.start(*project.remove(what))
        process = wait_for(project, call, moment)
        send(decoder_of(process), signal.SIGKILL)
        assert call.finish() == 0, call.output()
        return str(moment)

    when = faults.strike(attempt)
    project = faults.project
    check_results(project, faults.undisturbed)
    once, works = faults.undisturbed.works(), project.works()
    twice = [work for work in works if works[work] > once[work]]
    assert len(twice) <= 1  # the one that it died on
    assert all(works[stage, name] >= once[stage, name] for stage, name in works)
    faults.tell(when, "", len(twice))


def decoder_of(process: psutil.Process) -> psutil.Process:
    """The process that decodes for a job."""
    found = [child for child in process.children() if is_alive(child)]
    if not found:
        raise Missed
    return found[0]


@seeded(("hang decode_frames", 73), ("crash decode_frames", 74), ("crash extract_i3d", 76))
def test_bad_decoder(faults: Faults, what: str) -> None:
    """The video is recorded and left out; with a better decoder, and its shard removed, all is as undisturbed."""
    how, stage = what.split()
    project = faults.copy()
    name = f"clip {faults.rng.randrange(NUM_VIDEOS):02d}.mp4"
    targets = project.remove(stage)
    call = project.start(*targets, decoder=f"{how} {stage} {name}")
    assert call.finish() == 0, call.output()
    project.wait_until_quiet()
    shard = check_left_out(project, faults.undisturbed, stage, name, REASONS[how])
    assert "Nothing to be done" in project.run(*targets)
    shutil.rmtree((project.root / target_of(stage, shard)).parent)
    project.run(*targets)
    check_results(project, faults.undisturbed)
    faults.tell(f"{stage} {shard}, {name}", "", "its shard")


def check_left_out(project: Project, undisturbed: Project, stage: str, name: str, reason: str) -> str:
    """One video is recorded as failed, once, and everything of the others is as it would be; returns its shard."""
    schema = SCHEMAS[KINDS[stage]]
    shards = [shard for _, shard in stores_of(stage) if name in videos_of(shard)]
    for _, shard in stores_of(stage):
        found, expected = (read(run.root / target_of(stage, shard), schema) for run in (project, undisturbed))
        others = [video_id for video_id in expected.ids if video_id != name]
        assert found.ids == others
        assert found.failed == expected.failed | ({name: reason} if shard in shards else {})
        for video_id in others:
            rows, as_ever = found.video(video_id), expected.video(video_id)
            assert all(np.array_equal(rows[array], as_ever[array]) for array in as_ever)
    (shard,) = shards
    return shard

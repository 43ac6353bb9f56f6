"""What must hold after a fault and a second call."""

import hashlib
import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from pipeline.artifact import read
from pipeline.datasets.sharding import shard_of
from pipeline.schemas import SCHEMAS

from .project import BAD, KINDS, SHARDS, Project, target_of, video_names, videos_of
from .strikes import Strike

SECONDS = re.compile(rb"(?<=job|obs), \d+ s\b")  # what the page of the report says that the jobs of a stage took


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in a folder, hidden ones too; of the report's page without how long the stages took."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if path.match("report/index.html"):  # two calls never take the same
                content = SECONDS.sub(b"", content)
            found[path.relative_to(folder).as_posix()] = hashlib.sha256(content).hexdigest()
    return found


def check_results(project: Project, undisturbed: Project) -> None:
    """All is as if nothing had happened: every byte below the results, every video once, and nothing left over."""
    project.wait_until_quiet(30.0)
    expected, found = digests(undisturbed.results), digests(project.results)
    differing = sorted(path for path in expected.keys() | found.keys() if found.get(path) != expected.get(path))
    assert not differing, f"lost, left over, or of other bytes: {differing}"
    check_ids(project)
    verified = project.verify()
    assert verified.returncode == 0, verified.stdout
    planned = project.run("--dry-run")
    assert "Nothing to be done" in planned, planned


def check_ids(project: Project) -> None:
    """No video is lost and none comes twice."""
    for stage in KINDS:
        counted: Counter[str] = Counter()
        for shard in SHARDS:
            artifact = read(project.root / target_of(stage, shard), SCHEMAS[KINDS[stage]])
            assert sorted([*artifact.ids, *artifact.failed]) == videos_of(shard), (stage, shard)
            assert sorted(artifact.failed) == sorted(set(BAD) & set(videos_of(shard)))
            counted.update([*artifact.ids, *artifact.failed])
        assert counted == Counter(video_names())


def check_works(project: Project, undisturbed: Project, strike: Strike, made: Collection[tuple[str, str]]) -> int:
    """Videos that were finished when a fault struck were not taken up again, the others once.

    Args:
        project: After the second call.
        undisturbed: Says how often a stage looks at a video to do it once.
        strike: The fault, with the stores that it hit.
        made: Stages and shards that the two calls made. No other was worked on.

    Returns:
        How many finished videos were done again: 0, or it fails.
    """
    once = undisturbed.works()
    before, after = project.works(until=strike.instant), project.works(since=strike.instant)
    redone = []
    for stage, shard in made:
        for name in videos_of(shard):
            work = (stage, name)
            if (stage, shard) not in strike.finished:  # not hit: done once, before the fault or after it
                assert before[work] + after[work] == once[work], work
            elif name in strike.finished[stage, shard]:
                redone += [work] * (after[work] > 0)
            else:
                assert after[work] == once[work], work
                assert before[work] <= once[work], work
    assert not redone, f"done again although they were finished: {redone}"
    worked = {(stage, f"{shard_of(name, len(SHARDS)):03d}") for stage, name in before + after if stage in KINDS}
    assert worked <= set(made)
    return len(redone)

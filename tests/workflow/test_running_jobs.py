"""What is told of running jobs: on a terminal, in words, and by `status` beside a run and after it was stopped."""

import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest
from toys.project_sources import copy_sources, environment_of
from toys.terminal import Session
from toys.tiny_project import Project, write_home

LIVE = re.compile(r"  decode_frames home action 00\d  \d of \d \(\d+ %\), \d+ s each, \d+ s left")
IN_WORDS = ("--quiet", "host", "rules", "reason")
COUNTS = re.compile(r"^(report|grid) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)  ", re.MULTILINE)
CAPTIONS = "results/datasets/home/captions.json"


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A project without results, in which every piece of work takes 1.2 seconds and has a line in the log."""
    copy_sources(tmp_path)
    shutil.copy2(Path(__file__).parents[1] / "faults/tiny.yaml", tmp_path / "tiny.yaml")
    write_home(tmp_path)
    project = Project(tmp_path)
    project.edit("tiny.yaml", "[grid, lstm]\n  explanations: [of_maps, of_graphs]", "[grid]\n  explanations: []")
    slow = "pipeline/jobs/progress.py"
    project.edit(slow, "        yield item\n", "        yield item\n        time.sleep(1.2)\n")
    project.edit(slow, "SECONDS_BETWEEN_LINES = 5.0", "SECONDS_BETWEEN_LINES = 0.0")
    return project


def status(project: Project) -> tuple[dict[str, list[int]], str]:
    """The counts of jobs, done, running, failed and left by row of `status`, and all that it prints."""
    done = project.python("-m", "pipeline", "status", "--configfile", "tiny.yaml")
    assert done.returncode == 0, done.stderr
    return {
        found[1]: [int(count) for count in found.groups()[1:]] for found in COUNTS.finditer(done.stdout)
    }, done.stdout


def num_kept(project: Project) -> int:
    """How many videos the half-written stores of frames hold."""
    journals = project.root.glob("results/datasets/home/frames/action/.*.partial/journal.jsonl")
    return sum(len(journal.read_text(encoding="utf-8").splitlines()) for journal in journals)


def test_a_run_that_is_watched_stopped_half_way_and_asked_for(fresh: Project) -> None:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--resources", "gpu=2", "--configfile", "tiny.yaml"]
    session = Session(command, fresh.root, environment_of(fresh.root) | {"TERM": "xterm"}, columns=100)
    try:
        shown = session.watch(lambda lines: any(LIVE.fullmatch(line) for line in lines))
        row = next(number for number, line in enumerate(shown) if LIVE.fullmatch(line))
        assert "" in shown[row - 2 : row]  # the line that the cursor waits on; another job may stand between
        os.killpg(session.process, signal.SIGSTOP)  # so that nothing changes while it is asked for
        planned = fresh.jobs()
        counts, said = status(fresh)
        assert "Snakemake is at work here." in said
        for jobs, done, running, failed, left in counts.values():
            assert running in (1, 2)
            assert failed == 0
            assert jobs == done + running + left
        _, done, running, _, left = counts["report"]
        assert running + left == len(planned)
        assert done >= 3  # both lists of videos, and one more or the settings of the experiment
        assert re.search(
            r"running: decode_frames home action 00\d: \d of \d \(\d+ %\), .* left; \d videos are kept", said
        )
    finally:
        os.killpg(session.process, signal.SIGCONT)
        session.press_control_c()
    assert session.end() != 0

    logs = sorted((fresh.root / ".snakemake/log").glob("*.log"))
    own = [line for line in logs[0].read_text(encoding="utf-8").splitlines() if line]
    screen = iter(session.screen.lines)
    assert [line for line in own if not any(line in shown for shown in screen)] == []  # all there, in this order
    assert not any(re.match(r"  \w+ .* left$|  \w+ .*  \d+ s$", line) for line in session.screen.lines)

    planned = fresh.jobs()
    counts, said = status(fresh)
    jobs, done, running, failed, left = counts["report"]
    assert (running, failed, left) == (0, 0, len(planned))
    assert jobs == done + left
    assert counts["grid"] == [jobs - 2, done, 0, 0, left - 2]  # without the report and the bounds of scores
    assert "Snakemake is not at work here." in said
    kept = [int(number) for number in re.findall(r"stopped half-way: decode_frames .*: (\d+) videos are kept", said)]
    assert sum(kept) == num_kept(fresh) > 0
    assert said.endswith("To go on: snakemake --configfile tiny.yaml\n")


def test_without_a_terminal_nothing_is_drawn(fresh: Project) -> None:
    assert "\x1b" not in fresh.run(CAPTIONS)


def test_each_job_in_words(fresh: Project) -> None:
    lines = fresh.run(CAPTIONS, *IN_WORDS).splitlines()
    told = lines[lines.index("3 jobs are to be done. Each begins when what it reads is there.") :]
    begun = [line for line in told if line.startswith("begins  ")]
    assert "begins  index_captions home: Collect the captions and splits of a data set." in begun
    assert len(begun) == 3
    assert re.fullmatch(r"  done  index_captions home, after \d+ s \(3 of 3\)", told[-1])
    assert max(map(len, told)) < 120
    again = fresh.run(CAPTIONS, *IN_WORDS).splitlines()
    assert again[-1] == "All that is asked for is there, and nothing has changed since."
    planned = fresh.run(CAPTIONS, "--dry-run", "--forcerun", "index_captions", *IN_WORDS)
    assert re.search(r"^index_captions +1$", planned, re.MULTILINE)  # Snakemake's own table of a dry run
    assert "begins" not in planned


def test_a_job_that_fails_in_words_and_in_the_status(fresh: Project) -> None:
    (fresh.root / "captions.csv").write_text("no header\n", encoding="utf-8")
    done = fresh.snakemake(CAPTIONS, *IN_WORDS)
    assert done.returncode != 0
    why = "index_captions: captions.csv:1: expected the header"
    assert f"error: {why}" in done.stdout
    assert f"FAILED  index_captions home: {why}" in done.stdout
    assert "--settings" not in done.stdout  # the command, with all that it is given
    counts, said = status(fresh)
    jobs, done_jobs, running, failed, left = counts["report"]
    assert (done_jobs, running, failed) == (2, 0, 1)
    assert left == jobs - 3
    assert f"failed: index_captions home: {why}" in said


def test_an_experiment_by_name_and_one_that_is_not_there(fresh: Project) -> None:
    done = fresh.python("-m", "pipeline", "status", "grid", "--configfile", "tiny.yaml")
    assert [line.split()[0] for line in done.stdout.splitlines()[2:3]] == ["grid"]
    wrong = fresh.python("-m", "pipeline", "status", "gird", "--configfile", "tiny.yaml")
    assert wrong.returncode == 2
    assert "no experiment is called gird: the configuration has grid, " in wrong.stderr

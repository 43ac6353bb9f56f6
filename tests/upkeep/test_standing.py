"""How far jobs are, by small logs and half-written stores."""

import os
from pathlib import Path

import pytest

from pipeline.jobs.progress import Told
from pipeline.upkeep.at_work import call_at_work
from pipeline.upkeep.standing import Standing, TimeLeft, failure, standing, time_left, usual_seconds
from pipeline.workflow.planned import PlannedJob

BEGUN = 1_000_000.0
BUG = "Traceback (most recent call last):\n  File x, line 1\nValueError: no\n"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def job(name="b", inputs=(), rule="decode_frames", is_left=True, dataset="home"):
    """A job that makes results/NAME.zarr from others."""
    return PlannedJob(
        rule,
        {"dataset": dataset, "shard": name},
        [f"results/{of}.zarr/zarr.json" for of in inputs],
        [f"results/{name}.zarr/zarr.json"],
        f"logs/{name}.log",
        f"logs/{name}.tsv",
        is_left,
    )


def write(path, text, time=BEGUN + 5):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")
    os.utime(path, (time, time))


def test_a_job_that_snakemake_would_not_run_is_done_whatever_its_log_says():
    write("logs/b.log", "error: decode_frames: no\n")
    assert standing(job(is_left=False), BEGUN).state == "done"


def test_a_job_without_a_log_is_left():
    assert standing(job(), BEGUN) == Standing(job(), "left")


def test_a_log_of_this_call_is_of_a_job_at_work_and_one_of_an_earlier_call_is_not():
    write("logs/b.log", "decode_frames: 30 of 40 (75 %), 2/s, 5 s left\n")
    write("results/.b.zarr.partial/journal.jsonl", "{}\n{}\n{")
    told = Told("decode_frames", 30, 40, "2/s", 5.0)
    assert standing(job(), BEGUN) == Standing(job(), "running", told, num_kept=2)
    assert standing(job(), BEGUN + 9) == Standing(job(), "left", told, num_kept=2)
    assert standing(job(), None) == Standing(job(), "left", told, num_kept=2)


def test_what_ends_while_it_is_asked_for_is_done():
    write("logs/b.log", "decode_frames: 40 of 40 done in 20.0 s\n")
    write("logs/b.tsv", "s\n20.0\n", BEGUN + 6)
    assert standing(job(), BEGUN).state == "done"


def test_a_benchmark_of_an_earlier_call_ends_nothing():
    write("logs/b.log", "")
    write("logs/b.tsv", "s\n20.0\n", BEGUN - 100)
    assert standing(job(), BEGUN).state == "running"


def test_a_job_that_failed_says_why_also_while_others_run():
    write("logs/b.log", "read 3\nerror: decode_frames: videos: there is no such folder\n")
    for begun in (None, BEGUN):
        found = standing(job(), begun)
        assert (found.state, found.reason) == ("failed", "error: decode_frames: videos: there is no such folder")


def test_a_bug_is_a_failure_and_an_interruption_is_none():
    assert failure(BUG) == "ValueError: no"
    assert failure(BUG.replace("ValueError: no", "KeyboardInterrupt")) == ""
    assert failure("decode_frames: stopped by SIGTERM after 3 of 4 videos; the next call goes on from there") == ""
    assert failure("suspect: a.mp4: error: of the file\n") == ""
    write("logs/b.log", "decode_frames: stopped by SIGTERM after 3 of 4 videos\n")
    assert standing(job(), BEGUN).state == "left"


def test_usual_times_are_means_by_rule_and_data_set():
    write("logs/a.tsv", "s\th:m:s\n10.0\t0:00:10\n")
    write("logs/b.tsv", "s\th:m:s\n20.0\t0:00:20\n")
    write("logs/c.tsv", "s\th:m:s\n-\t-\n")
    write("logs/d.tsv", "s\th:m:s\n7.0\t0:00:07\n")
    jobs = [job("a"), job("b"), job("c"), job("d", dataset="other"), job("e", rule="extract_i3d")]
    assert usual_seconds(jobs) == {("decode_frames", "home"): 15.0, ("decode_frames", "other"): 7.0}


def test_the_time_left_is_between_the_longest_chain_and_the_sum():
    jobs = {name: job(name, inputs) for name, inputs in {"a": "", "b": "a", "c": "a", "d": "bc"}.items()}
    standings = [
        Standing(jobs["a"], "done"),
        Standing(jobs["b"], "running", Told("decode_frames", 1, 2, "1/s", 3.0)),
        Standing(jobs["c"], "left"),
        Standing(jobs["d"], "left"),
        Standing(job("e", "d", rule="train_captioner"), "left"),
    ]
    usual = {("decode_frames", "home"): 10.0}
    assert time_left(standings, usual) == TimeLeft(20.0, 23.0, 1, ["train_captioner"])
    assert time_left(standings[:1], usual) == TimeLeft(0.0, 0, 0, [])


def test_a_lock_without_a_process_is_of_another_machine_or_of_a_call_that_was_killed(project):
    assert call_at_work(project) is None
    write(".snakemake/locks/0.input.lock", "", BEGUN)
    call = call_at_work(project)
    assert call is not None
    assert call.begun == BEGUN
    if Path("/proc").is_dir():
        assert "or was killed (then: snakemake --unlock)" in call.words()

"""Plans of Snakemake, read without it; tests/workflow/test_running_jobs.py has real ones."""

from pipeline.workflow.planned import PlannedJob, jobs_behind


def job(rule, inputs, outputs):
    return PlannedJob(rule, {}, inputs, outputs, None, None, True)


def test_the_jobs_behind_files_are_all_that_they_stand_on():
    jobs = [
        job("all", ["report"], []),
        job("index", ["of the user"], ["table", "other table"]),
        job("decode", ["table"], ["frames"]),
        job("train", ["frames", "other table"], ["model"]),
        job("report", ["model"], ["report"]),
        job("other", ["table"], ["other"]),
    ]
    assert [found.rule for found in jobs_behind(jobs, ["model"])] == ["index", "decode", "train"]
    assert [found.rule for found in jobs_behind(jobs, ["frames", "other"])] == ["index", "decode", "other"]
    assert jobs_behind(jobs, ["of the user"]) == []

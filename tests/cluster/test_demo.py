"""The default configuration, every job of it through the scheduler."""

import json

from .conftest import Project


def test_the_demo_line_runs_through_the_scheduler(demo: Project) -> None:
    code, output = demo.finish(seconds=7200)
    assert code == 0, output
    jobs = demo.jobs("")
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert max(int(job["NumCPUs"]) for job in jobs) == 2  # of the eight that some rules would like
    rules = {job["Comment"].removeprefix("rule_").partition("_wildcards_")[0] for job in jobs}
    assert {"make_shapes", "decode_frames", "finetune_clip4clip", "train_captioner", "score_captions"} <= rules
    assert not {"index_captions", "build_vocabulary", "describe_experiment"} & rules  # the login node's
    scores = json.loads((demo.root / "results/experiments/grid/test/scores.json").read_text(encoding="utf-8"))
    assert scores["num_covered"] == scores["num_videos"]
    assert (demo.root / "results/report/index.html").exists()
    print(output.splitlines()[-1])  # how long it took
    assert "Nothing to be done" in demo.run("--dry-run", site=("--cores", "2"))

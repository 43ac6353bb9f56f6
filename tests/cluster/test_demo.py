"""The default configuration, every job of it through the scheduler."""

import json
import time

from .conftest import Project
from .slurm import Slurm


def test_the_demo_line_runs_through_the_scheduler(slurm: Slurm, untouched: Project) -> None:
    start = time.monotonic()
    untouched.run(seconds=1500)
    print(f"the demo line took {time.monotonic() - start:.0f} s")
    jobs = untouched.jobs("")
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    rules = {job["Comment"].removeprefix("rule_").partition("_wildcards_")[0] for job in jobs}
    assert {"make_shapes", "decode_frames", "finetune_clip4clip", "train_captioner", "score_captions"} <= rules
    assert not {"index_captions", "build_vocabulary", "describe_experiment"} & rules  # the login node's
    scores = json.loads((untouched.root / "results/experiments/grid/test/scores.json").read_text(encoding="utf-8"))
    assert scores["num_covered"] == scores["num_videos"]
    assert (untouched.root / "results/report/index.html").exists()
    assert "Nothing to be done" in untouched.run("--dry-run", site=())

"""What `status` prints; tests/workflow/test_running_jobs.py asks it of real runs."""

from pathlib import Path

import pytest

from pipeline.commands.status import details, ends_of, estimate, remarks, table
from pipeline.config.overlays import read_config
from pipeline.jobs.progress import Told
from pipeline.upkeep.standing import Standing, TimeLeft
from pipeline.workflow.planned import PlannedJob

ROOT = Path(__file__).parents[2]


def of(rule, state, **more):
    job = PlannedJob(rule, {"shard": "001"}, [], [f"results/{rule}"], f"logs/{rule}.log", None, state != "done")
    return Standing(job, state, **more)


RUN = [
    of("decode_frames", "done"),
    of("extract_i3d", "running", told=Told("extract_i3d", 30, 40, "2/s", 5.0), num_kept=30),
    of("index_captions", "failed", reason="error: index_captions: captions.csv: no\nheader"),
    of("build_grid_nodes", "left", num_kept=7),
    of("train_captioner", "left"),
]


def test_a_row_of_counts_for_each_experiment():
    usual = {("build_grid_nodes", ""): 60.0, ("index_captions", ""): 1.0}
    assert table({"report": RUN, "grid": RUN[:1]}, usual).splitlines() == [
        "        jobs  done  running  failed  left  time left",
        "report     5     1        1       1     2  60 s to 66 s, and 1 job of unknown length",
        "grid       1     1        0       0     0  -",
    ]


def test_a_line_for_each_job_that_runs_failed_or_was_stopped():
    assert details(RUN) == [
        "running: extract_i3d 001: 30 of 40 (75 %), 2/s, 5 s left; 30 videos are kept",
        "failed: index_captions 001: index_captions: captions.csv: no\\nheader (logs/index_captions.log)",
        "stopped half-way: build_grid_nodes 001: 7 videos are kept",
    ]


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (TimeLeft(0.0, 0.0, 3, ["a", "b"]), "3 jobs of unknown length"),
        (TimeLeft(90.0, 600.0, 0, []), "90 s to 10 min"),
        (TimeLeft(90.0, 90.0, 1, ["a"]), "90 s, and 1 job of unknown length"),
    ],
    ids=["unknown", "known", "both"],
)
def test_estimates_in_words(left, words):
    assert estimate(left) == words


def test_how_to_go_on_is_said_where_nothing_is_at_work():
    assert remarks(RUN[:1], {}, [], is_at_work=False) == ["All is done."]
    last = remarks(RUN, {}, [Path("configs/my own.yaml")], is_at_work=False)
    assert last[-1] == "To go on: snakemake --configfile 'configs/my own.yaml'"
    assert "build_grid_nodes, index_captions, train_captioner" in last[-2]
    assert not any("To go on" in line for line in remarks(RUN, {}, [], is_at_work=True))


def test_the_ends_of_an_experiment_are_its_settings_and_the_scores_of_each_seed(tmp_path):
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("experiments: {grid: {seeds: [1, 5]}}\n")
    assert ends_of(read_config([ROOT / "config.yaml", overlay]), "grid") == [
        "results/experiments/grid/settings.json",
        "results/experiments/grid/val/scores.json",
        "results/experiments/grid/test/scores.json",
        "results/experiments/grid/seeds/5/val/scores.json",
        "results/experiments/grid/seeds/5/test/scores.json",
    ]

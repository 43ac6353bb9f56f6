"""The command `gc`: what the real configuration needs stays, whatever else there is."""

import shutil
from pathlib import Path

import pytest

from pipeline.commands import gc as gc_command
from pipeline.config.overlays import read_config
from pipeline.errors import PipelineError
from pipeline.workflow.paths import ARTIFACTS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The workflow's files and an empty folder of results."""
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("rules", "configs", "pipeline", "envs"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(*paths):
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("x")


NEEDED = [
    "results/datasets/shapes/frames/action/000.zarr/zarr.json",
    "results/datasets/shapes/nodes/object/001.zarr/zarr.json",  # of an experiment that the report does not name
    "results/encoders/clip/weights.safetensors",
    "results/experiments/object_knowledge/model.safetensors",
    "results/experiments/grid/train/captions.json",
    "results/experiments/grid/test/akg_scores.json",
    "results/experiments/object/settings.json",
    "results/report/index.html",
]
UNNEEDED = [
    "results/datasets/gone/frames/action/000.zarr/zarr.json",
    "results/datasets/shapes/frames/action/002.zarr/zarr.json",  # of a time with more shards
    "results/datasets/shapes/check.txt",  # of generated videos the settings tell
    "results/datasets/shapes/pair_motion/grid/000.zarr/zarr.json",
    "results/experiments/grid_shuffled_knowledge/model.safetensors",
    "results/vocabularies/old.json",
]
HIDDEN = "results/datasets/gone/frames/action/.001.zarr.partial/journal.jsonl"
MADE = ["results/datasets/gone/made/000/list.json", "results/datasets/gone/made/000/train-0.mp4"]
FOREIGN = ["results/notes.txt", "results/vocabularies/old.txt", "results/datasets/gone/made/000/mine.txt"]


@pytest.mark.slow
def test_what_the_configuration_does_not_need(project, capsys):
    put(*NEEDED, *UNNEEDED, HIDDEN, *MADE, *FOREIGN)
    (project / "results/encoders/old").symlink_to(project / "results/encoders/clip")
    before = {path for path in Path("results").rglob("*") if path.is_file()}
    assert gc_command.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = {line.split()[2] for line in lines[:-1]}
    hidden = HIDDEN.removesuffix("/journal.jsonl")
    assert listed == {*(path.removesuffix("/zarr.json") for path in UNNEEDED), hidden, *MADE}
    assert lines[-1] == "9 places, 0.0 MB, not needed; --yes deletes them; 15 artifacts in all"
    assert {path for path in Path("results").rglob("*") if path.is_file()} == before

    assert gc_command.main(["--configfile", "configs/shapes_all.yaml", "--yes"]) == 0
    shuffled = UNNEEDED[4]  # the overlay has it
    there = {path.as_posix() for path in Path("results").rglob("*") if path.is_file()}
    assert there == {*NEEDED, *FOREIGN, shuffled}
    assert (project / "results/encoders/old").is_symlink()
    assert not Path("results/datasets/gone/frames").exists()  # empty folders go with what was in them


@pytest.mark.slow
def test_nothing_is_deleted_where_snakemake_cannot_tell(project):
    put(*UNNEEDED)
    overlay = project / "mine.yaml"
    overlay.write_text("encoders: {i3d: {weights: nowhere/rgb.pt}}\n")
    with pytest.raises(PipelineError, match=r"Snakemake cannot say what the configuration needs .*nowhere"):
        gc_command.main(["--configfile", str(overlay), "--yes"])
    assert all(Path(path).is_file() for path in UNNEEDED)


@pytest.mark.parametrize(
    "text", ["- a\n", "a: [", "encoders: {clip: {kinds: x}}\n", "report: !!python/object:x.y {}\n"]
)
def test_a_wrong_configuration_is_an_error(project, text):
    (project / "mine.yaml").write_text(text)
    with pytest.raises(PipelineError):
        gc_command.main(["--configfile", "mine.yaml", "--yes"])


def test_nothing_is_deleted_while_snakemake_works(project):
    put(*UNNEEDED, ".snakemake/locks/0.input.lock")
    with pytest.raises(PipelineError, match="at work"):
        gc_command.main(["--yes"])
    assert all(Path(path).is_file() for path in UNNEEDED)


def test_targets_name_every_seed(project):
    (project / "mine.yaml").write_text("experiments: {grid: {seeds: [1, 5]}, object: {like: grid, seeds: [1]}}\n")
    ends = gc_command.targets(read_config([Path("config.yaml"), project / "mine.yaml"]))
    assert "results/experiments/grid/test/scores.json" in ends
    assert "results/experiments/grid/seeds/5/test/scores.json" in ends
    assert [end for end in ends if "/seeds/1/" in end or "object/seeds/" in end] == []
    assert not any("/seeds/" in end for end in ends if end.endswith("settings.json"))


def test_targets_name_every_experiment_and_prediction(project):
    overlay = project / "mine.yaml"
    overlay.write_text("predictions: {holiday: {experiment: grid, dataset: shapes}}\n")
    config = read_config([Path("config.yaml"), overlay])
    ends = gc_command.targets(config)
    assert ends[:2] == ["all", "check_data"]
    assert "results/predictions/holiday/index.html" in ends
    for experiment in config.experiments:
        assert ARTIFACTS["scores"].format(trial=experiment, split="test") in ends


def test_targets_are_of_the_splits_that_there_are(project):
    """Snakemake cannot plan for a split that the settings say is not there, and nothing at all could be removed."""
    overlay = project / "mine.yaml"
    overlay.write_text("datasets: {my_folder: {splits: {train: 0.6, val: 0.4, test: 0.0}}}\n")
    ends = gc_command.targets(read_config([Path("config.yaml"), Path("configs/my_folder.yaml"), overlay]))
    of_folder = {end.split("/")[-2] for end in ends if "/my_folder/" in end and end.endswith("/scores.json")}
    assert of_folder == {"train", "val"}


def test_targets_name_the_scores_of_epic_kitchens(project):
    ends = gc_command.targets(read_config([Path("config.yaml"), Path("configs/cast_epic_kitchens.yaml")]))
    assert "results/experiments/ek100_spatial/test/epic_scores.json" in ends  # which the report does not name
    assert not [end for end in ends if "experiments/grid/" in end and "epic" in end]
    assert not [end for end in ends if "/challenge/" in end]
    overlay = project / "open.yaml"
    overlay.write_text("datasets: {ek100: {annotations: {challenge: data/epic/EPIC_100_test_timestamps.csv}}}\n")
    configs = [Path("config.yaml"), Path("configs/cast_epic_kitchens.yaml"), overlay]
    assert "results/experiments/ek100_spatial/challenge/epic.pkl" in gc_command.targets(read_config(configs))


def test_everything_goes_whole_and_what_is_not_ours_stays(project, capsys):
    """Snakemake's --delete-all-output would delete the roots of stores alone."""
    data = "results/datasets/shapes/frames/action/000.zarr/pixels/c/0/0"
    put(*NEEDED, *UNNEEDED, HIDDEN, *MADE, *FOREIGN, data)
    assert gc_command.main(["--everything"]) == 0
    said = capsys.readouterr().out
    assert "to remove: results/datasets/shapes/frames/action/000.zarr (0.0 MB)\n" in said
    assert " MB, --yes deletes them; " in said.splitlines()[-1]
    assert Path(data).is_file()
    assert gc_command.main(["--everything", "--yes"]) == 0
    left = {path.as_posix() for path in Path("results").rglob("*") if path.is_file()}
    assert left == set(FOREIGN)
    assert gc_command.main(["--everything", "--yes"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing to remove; 0 artifacts in all"


def test_everything_asks_for_no_configuration(project):
    (project / "config.yaml").write_text("{")
    assert gc_command.main(["--everything", "--yes"]) == 0
    with pytest.raises(SystemExit):
        gc_command.main(["--everything", "--configfile", "mine.yaml"])

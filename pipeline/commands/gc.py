"""List, or delete, the artifacts that nothing in the configuration needs, or all of them.

    python -m pipeline gc --configfile configs/mine.yaml
    python -m pipeline gc --configfile configs/mine.yaml --yes
    python -m pipeline gc --everything --yes

`--everything` is for who would call `snakemake --delete-all-output`: of a store Snakemake knows the root `zarr.json`
alone, and would leave its data. Otherwise Snakemake itself says what is needed: every artifact on the way to the
report, to the scores and settings of each experiment, to the captions of each prediction and to the check of each data
set.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.config import Config
from pipeline.config.overlays import read_config
from pipeline.errors import PipelineError
from pipeline.upkeep.inventory import Inventory, size_of, take_inventory
from pipeline.upkeep.removal import expect_nobody_at_work, remove, remove_empty_folders
from pipeline.workflow.paths import ARTIFACTS
from pipeline.workflow.splits import splits_of
from pipeline.workflow.trials import trials_of

SUMMARY = "List, and with --yes delete, results that nothing in the configuration needs, or all of them."

# The last artifacts of a trial, by the kind of its experiment.
ENDS = {
    "captioning": ("scores", "akg_scores"),
    "external": ("scores",),
    "map_captioning": ("scores", "akg_scores"),
    "recognition": ("scores", "regions"),
    "routing": ("scores",),
}


def main(arguments: Sequence[str]) -> int:
    """List or delete what is not needed.

    Args:
        arguments: The arguments after `gc`.

    Returns:
        The exit code, 0.

    Raises:
        PipelineError: if there are no results, the configuration is not valid, Snakemake cannot plan for it or, with
            `--yes`, is at work; nothing is deleted then.
    """
    parser = argparse.ArgumentParser(prog="python -m pipeline gc", description=SUMMARY)
    parser.add_argument(
        "--configfile",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="overlays, as for snakemake: ALL that are in use, because what only another one needs is not needed",
    )
    parser.add_argument(
        "--everything",
        action="store_true",
        help="all artifacts, needed or not, with what unfinished jobs left; other files, checkpoints and logs stay",
    )
    parser.add_argument("--yes", action="store_true", help="delete what is listed")
    chosen = parser.parse_args(arguments)
    if chosen.everything and chosen.configfile:
        parser.error("--everything goes without --configfile: it asks for no configuration")
    inventory = take_inventory(Path("results"))
    if chosen.yes:
        expect_nobody_at_work(inventory)
    if chosen.everything:
        needed: set[str] = set()
    else:
        config = read_config([Path("config.yaml"), *chosen.configfile])
        needed = needed_artifacts(targets(config), chosen.configfile)
    places = unneeded(inventory, needed)
    total = 0
    for place in places:
        num_bytes = remove(inventory, place) if chosen.yes else size_of(place)
        total += num_bytes
        verb = "removed" if chosen.yes else "to remove:" if chosen.everything else "not needed:"
        shown = place.relative_to(inventory.results).as_posix()
        print(f"{verb} results/{shown} ({num_bytes / 1e6:.1f} MB)", flush=True)
        if chosen.yes:
            remove_empty_folders(inventory, place.parent)
    outcome = "removed" if chosen.yes else f"{'' if chosen.everything else 'not needed; '}--yes deletes them"
    nothing = "nothing to remove" if chosen.everything else "nothing is unneeded"
    found = f"{len(places)} places, {total / 1e6:.1f} MB, {outcome}" if places else nothing
    print(f"{found}; {len(inventory.artifacts)} artifacts in all")
    return 0


def targets(config: Config) -> list[str]:
    """The targets of Snakemake that together need every artifact of the configuration."""
    ends = ["all", "check_data"]
    whole = config.model_dump(mode="json")
    for experiment, settings in config.experiments.items():
        ends.append(ARTIFACTS["settings"].format(experiment=experiment))
        splits = splits_of(whole, experiment)
        if settings.kind != "external":  # captions of other systems are of scored splits alone
            splits = ["train", *splits]
        is_epic = settings.kind == "recognition" and config.datasets[settings.dataset].kind == "epic_kitchens"
        for end in (*ENDS[settings.kind], *(["epic_scores"] if is_epic else [])):
            trials = trials_of(experiment, settings.seeds)
            ends += [ARTIFACTS[end].format(trial=trial, split=split) for trial in trials for split in splits]
    ends += [ARTIFACTS["gallery"].format(prediction=prediction) for prediction in config.predictions]
    return ends


def needed_artifacts(ends: Sequence[str], overlays: Sequence[Path]) -> set[str]:
    """All files that some targets need, whether they exist or not: the first column of `snakemake --summary`.

    Args:
        ends: The targets.
        overlays: Files that go on top of config.yaml.

    Raises:
        PipelineError: if Snakemake cannot plan for them.
    """
    options = ["--cores", "1", *(["--configfile", *map(str, overlays)] if overlays else [])]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--summary", *ends, *options], capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    header = next((number for number, text in enumerate(lines) if text.startswith("output_file\t")), None)
    if done.returncode or header is None:
        reason = " ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-3:])
        raise PipelineError(f"Snakemake cannot say what the configuration needs ({reason}): nothing was removed")
    return {text.partition("\t")[0] for text in lines[header + 1 :]}


def unneeded(inventory: Inventory, needed: set[str]) -> list[Path]:
    """Paths of artifacts, and of their hidden siblings, that are not needed.

    With a list of generated videos that is not needed come its videos, and with the report page what it loads.

    Args:
        inventory: All artifacts and hidden siblings that there are.
        needed: Paths of the artifacts that are needed, from `results/` on.
    """
    places = []
    for found in inventory.artifacts:
        if found.target in needed:
            continue
        places.append(found.place)
        if found.kind in ("made", "report"):
            places += inventory.videos_beside(found)
    places += [leftover.place for leftover in inventory.leftovers if leftover.of.target not in needed]
    return sorted(places)

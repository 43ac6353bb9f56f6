"""Another kind of experiment: files of its own, and a line in each list of kinds. Made in a copy of the project."""

import json
from pathlib import Path

import pytest
import yaml
from toys.project_sources import copy_sources
from toys.tiny_project import Project

SETTINGS = '''
from typing import Literal

from pipeline.config.types import Seeds, Settings


class CountingSettings(Settings):
    """A count of the videos of a data set."""

    kind: Literal["counting"]
    dataset: str
    most: int
    seeds: Seeds
'''
CHAIN = '''
from typing import Literal

from pipeline.config import Settings


class CountingChain(Settings):
    """What a count stands on."""

    kind: Literal["counting"]
    name: str
    most: int


def counting_chain(config, name, paths):
    """The chain of one count."""
    return {"kind": "counting", "name": name, "most": config["experiments"][name]["most"]}
'''
RULES = '''
rule count_videos:
    """Count the videos."""
    input:
        artifact("captions", dataset="experiment.dataset"),
    output:
        artifact("count"),
    wildcard_constraints:
        trial=trial_names(kind="counting"),
    params:
        seed=seed,
        most=settings("experiment.most"),
    shell:
        "echo {params.seed} {params.most} > {output:q}"
'''
CONFIG = """
experiments:
  toy: {kind: counting, dataset: shapes, most: 9, seeds: [4, 2]}
report:
  experiments: [grid, toy]
"""


VALIDATE = """
import json, sys
from pipeline.config import validate
from pipeline.errors import PipelineError
for raw in json.load(sys.stdin):
    try:
        validate(raw)
        print("valid")
    except PipelineError as error:
        print(error)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The project with a further kind of experiment."""
    copy_sources(tmp_path)
    found = Project(tmp_path)
    (tmp_path / "tiny.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "rules/counting.smk").write_text(RULES, encoding="utf-8")
    (tmp_path / "pipeline/config/counting.py").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "pipeline/workflow/counting_chain.py").write_text(CHAIN, encoding="utf-8")
    join(found, "pipeline/config/experiments.py", "config.counting", "Settings")
    join(found, "pipeline/workflow/experiment_chain.py", "workflow.counting_chain", "Chain")
    makers = '"recognition": recognition_chain'
    found.edit("pipeline/workflow/experiment_chain.py", makers, f'{makers}, "counting": counting_chain')
    count = '    "count": "results/experiments/{trial}/count.txt",\n'
    found.edit("pipeline/workflow/paths.py", '    "settings": ', f'{count}    "settings": ')
    last = 'include: HERE.join("rules/report.smk")\n'
    found.edit("Snakefile", last, f'{last}include: HERE.join("rules/counting.smk")\n')
    return found


def join(project: Project, file: str, module: str, suffix: str) -> None:
    """Write a further member into a union."""
    first = f"    Captioning{suffix} | "
    project.edit(file, "\nfrom pydantic import ", f"\nfrom pipeline.{module} import *\nfrom pydantic import ")
    project.edit(file, first, f"{first}Counting{suffix} | ")


def test_its_trials_are_made_by_its_own_rule(project: Project) -> None:
    targets = [f"results/experiments/toy{trial}/count.txt" for trial in ("", "/seeds/2")]
    jobs = project.jobs(*targets)
    assert {"count_videos toy", "count_videos toy/seeds/2", "index_captions shapes"} <= jobs
    assert not any(job.startswith("train_captioner") for job in jobs)
    output = project.run("--dry-run", "--printshellcmds", *targets)
    assert "echo 4 9 > results/experiments/toy/count.txt" in output
    assert "echo 2 9 > results/experiments/toy/seeds/2/count.txt" in output


def test_captioning_does_not_look_at_it(project: Project) -> None:
    jobs = project.jobs()  # the report, which names both
    assert {"describe_experiment grid", "describe_experiment toy", "train_captioner grid"} <= jobs
    assert not {"train_captioner toy", "generate_captions toy test", "count_videos toy"} & jobs
    done = project.snakemake("--dry-run", "results/experiments/toy/model.safetensors")
    assert done.returncode != 0
    assert "MissingRuleException" in done.stdout


def test_it_is_described_by_its_own_chain_and_captions_nothing(project: Project) -> None:
    settings = "results/experiments/toy/settings.json"
    project.run(settings)
    content = json.loads((project.root / settings).read_text(encoding="utf-8"))
    assert content == {"kind": "counting", "name": "toy", "most": 9}
    (project.root / "results/experiments/toy/model.safetensors").touch()
    arguments = ["caption", "a.mp4", "--experiment", "results/experiments/toy", "--out", "captions.json"]
    done = project.python("-m", "pipeline", *arguments)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: caption: {settings}: an experiment of kind counting: captions need one of kind captioning or "
        "map_captioning\n"
    )


def test_mistakes_are_those_of_its_kind_alone(project: Project) -> None:
    config = yaml.safe_load((project.root / "config.yaml").read_text(encoding="utf-8"))
    toy = {"kind": "counting", "dataset": "shapes", "most": 9, "seeds": [4]}
    kinds = "expected captioning or counting or external or map_captioning or recognition or routing"
    expected = {
        "valid": toy,
        "`experiments.toy.seeds`: missing, there are no defaults: copy it from config.yaml": without(toy, "seeds"),
        f"`experiments.toy.kind`: missing: {kinds}": without(toy, "kind"),
        f'`experiments.toy.kind`: there is no such kind (is "counted"): {kinds}': (toy | {"kind": "counted"}),
        "`experiments.toy.dataset: shaeps`: no such entry in `datasets`: did you mean `shapes`?": (
            toy | {"dataset": "shaeps"}
        ),
        # No word of its being no entry of `graphs`: an experiment of this kind has no graph.
        "`experiments.toy.graph`: there is no such key: there is dataset, kind, most, seeds": toy
        | {"graph": "nowhere"},
    }
    experiments = [config["experiments"] | {"toy": entry} for entry in expected.values()]
    raws = [config | {"experiments": entries} for entries in experiments]
    raws.append(raws[0] | {"predictions": {"holiday": {"experiment": "toy", "dataset": "shapes"}}})
    lines = project.python("-c", VALIDATE, text=json.dumps(raws)).stdout.splitlines()
    assert [line.removeprefix("config: ") for line in lines[:-1]] == list(expected)
    assert lines[-1].startswith(
        "config: `predictions.holiday.experiment: toy`: must be of kind captioning or map_captioning: grid"
    )


def without(entry: dict, key: str) -> dict:
    return {name: value for name, value in entry.items() if name != key}

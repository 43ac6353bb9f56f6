"""
Functions by which rules name the artifacts that they read and make, and the parameters of their jobs.

A route such as "graph.nodes.sampling" starts at a wildcard and walks config.yaml: it leads to the sampling of the nodes
of this graph. So a rule names its inputs by what they are, and config.yaml says which these are.
"""

import json
from functools import cache
from hashlib import sha256
from pathlib import Path

from snakemake.iocontainers import Wildcards
from snakemake.logging import logger

from pipeline.config.experiments import CAPTIONED, CAPTIONING
from pipeline.jobs import gpus
from pipeline.workflow.paths import ARTIFACTS, CONSTRAINTS
from pipeline.workflow.code_digest import PACKAGE, digest
from pipeline.workflow.experiment_chain import chain_of
from pipeline.workflow.trials import experiment_of, trials_of, seed_of
from pipeline.workflow.shards import as_words, shard_names
from pipeline.workflow.shown import shown_split
from pipeline.workflow.splits import decoded_as, file_of, scored_splits, splits_of

# Threads of rules of which two run side by side: 4, or half of the cores where there are fewer than 8. Within a job of a
# cluster this is evaluated again: there they are all the cores that the job got.
SOME_THREADS = min(4, workflow.cores if workflow.remote_exec else max(1, workflow.cores // 2))

# For each word of a route, the section of config.yaml that it names an entry of.
SECTIONS = {
    "dataset": "datasets",
    "calibrate_on": "datasets",
    "sampling": "samplings",
    "encoder": "encoders",
    "motion": "encoders",
    "detector": "encoders",
    "nodes": "nodes",
    "objects": "nodes",
    "graph": "graphs",
    "maps": "maps",
    "knowledge": "knowledge",
    "vocabulary": "vocabularies",
    "captioner": "captioners",
    "clipping": "clippings",
    "recognizer": "recognizers",
    "spatial": "encoders",
    "temporal": "encoders",
    "groups": "groups",
    "experiment": "experiments",
    "selector": "experiments",
    "prediction": "predictions",
    "explanation": "explanations",
}


# Artifacts of the videos themselves, which data sets with the same videos and other splits may share.
OF_VIDEOS = ("videos", "clips")


def walk(route, wildcards):
    """Follow a route to the value at its end: settings, or the name of an entry; None where config.yaml has none.

    A job of one trial may start a route at its experiment.

    Args:
        route: Words with dots between them; the first is a wildcard.
        wildcards: Wildcards of the job, as a mapping or Snakemake's object.

    Raises:
        KeyError: if the settings on the way lack a word.
    """
    first, *rest = route.split(".")
    given = dict(wildcards.items())
    of_trial = first == "experiment" and "trial" in given
    word, value = first, experiment_of(given["trial"]) if of_trial else given[first]
    for next_word in rest:
        entry = config[SECTIONS[word]][value] if isinstance(value, str) else value
        if entry is None:  # the entry is left out, such as knowledge or fine-tuning
            return None
        word, value = next_word, entry[next_word]
    return value


def holds(condition, wildcards):
    """Whether a route leads to anything that is no empty list; for "dataset.kind=shapes", to the value `shapes`."""
    route, equals, value = condition.partition("=")
    try:
        found = walk(route, wildcards)
    except KeyError:  # only entries of another kind have this setting
        return False
    return found == value if equals else found not in (None, [])


def names(section, having=None, lacking=(), **equal):
    """Regular expression that matches the names of those entries of a section that fit, or nothing if none fits.

    Args:
        section: The section of config.yaml.
        having: A setting that an entry must have.
        lacking: Settings that an entry must not have.
        equal: Settings that an entry must have with these values.
    """
    fitting = [
        name
        for name, entry in config[section].items()
        if (having is None or entry.get(having))
        and not any(entry.get(key) for key in lacking)
        and all(entry.get(key) == value for key, value in equal.items())
    ]
    return "|".join(fitting) or "(?!)"


def trial_names(**equal):
    """Regular expression that matches the names of all trials of the experiments whose settings equal these."""
    fitting = [
        trial
        for name, entry in config["experiments"].items()
        if all(entry.get(key) == value for key, value in equal.items())
        for trial in trials_of(name, entry["seeds"])
    ]
    return "|".join(fitting) or "(?!)"


def trials_of_kinds(kinds):
    """Regular expression that matches the names of all trials of some kinds of experiments, such as `CAPTIONED`."""
    return "|".join(trial_names(kind=of) for of in kinds)


def trials_on(kind):
    """Regular expression that matches the names of all recognition trials on data sets of one kind."""
    datasets = [name for name, entry in config["datasets"].items() if entry["kind"] == kind]
    found = [trial_names(kind="recognition", dataset=name) for name in datasets]
    return "|".join(found) or "(?!)"


def artifact(kind, each=None, where=None, **routes):
    """Path pattern of an artifact, or the input function that gives its paths if there is more than `kind`.

    Args:
        kind: A key of ARTIFACTS.
        each: A wildcard. Every entry of its section then gives artifacts; of experiments, trials and explanations,
            those that the report names. A kind of experiments may stand before it: "captioning trial".
        where: A condition as `holds` takes it; where it is false, there are no artifacts.
        routes: For a name in the path, the route that leads to it, a list of names, "all" for all shards, or "scored"
            for the splits that the experiment is scored on, or "shown" for the one whose clips the report shows.
    """
    pattern = ARTIFACTS[kind]
    if each is None and where is None and not routes:
        return pattern

    def paths(wildcards):
        starts = [dict(wildcards.items())] if each is None else [{each.split()[-1]: name} for name in reported(each)]
        found = []
        for start in starts:
            if where is not None and not holds(where, start):
                continue
            known = start | {word: walk(to, start) if "." in to else to for word, to in routes.items()}
            if known.get("shard") == "all":
                known["shard"] = shard_names(config["datasets"][known["dataset"]]["shards"])
            if known.get("split") == "scored":
                known["split"] = splits_of(config, experiment_of(start.get("trial") or start["experiment"]))
            if known.get("split") == "shown":
                known["split"] = shown_split(config["datasets"][known["dataset"]])
            if kind in OF_VIDEOS and "dataset" in known:
                known["dataset"] = decoded_as(config, known["dataset"])
            found += expand(pattern, **known)
        return list(dict.fromkeys(found))

    return paths


def explanations_of(kind):
    """Regular expression that matches the names of the explanations of experiments of a kind."""
    fitting = [
        name
        for name, entry in config["explanations"].items()
        if config["experiments"][entry["experiment"]]["kind"] == kind
    ]
    return "|".join(fitting) or "(?!)"


def of_explained(kind, **more):
    """Input function: an artifact of the first trial, or of the data set, that the explanation of the job is about."""
    routes = {"trial": "explanation.experiment", "split": "explanation.split"}
    return artifact(kind, **routes, dataset="explanation.experiment.dataset", **more)


def captioner_inputs(experiment, dataset, **more):
    """Inputs of a stage that runs a captioner: graphs, and motion of pairs, knowledge and objects if it reads them.

    A captioner of maps has none of these.

    Args:
        experiment: Route to the captioner's experiment.
        dataset: Route to the data set whose videos the captioner reads.
        more: Further arguments of `artifact`.
    """
    shards = {"dataset": dataset, "shard": "all"} | more
    graph, knowledge, objects = f"{experiment}.graph", f"{experiment}.knowledge", f"{experiment}.objects"
    return {
        "graphs": artifact("graphs", where=graph, graph=graph, **shards),
        "pair_motion": artifact("pair_motion", where=f"{graph}.motion_of=union_box", graph=graph, **shards),
        "knowledge": artifact("knowledge", where=knowledge, knowledge=knowledge, **shards),
        "objects": artifact("nodes", where=objects, nodes=objects, **shards),
    }


def map_inputs(experiment, dataset, **more):
    """Input of a stage that runs a captioner of maps: these, or nothing if the captioner reads graphs.

    Args:
        experiment: Route to the captioner's experiment.
        dataset: Route to the data set whose videos the captioner reads.
        more: Further arguments of `artifact`.
    """
    maps = f"{experiment}.maps"
    return artifact("maps", where=maps, maps=maps, dataset=dataset, shard="all", **more)


def with_split(kind):
    """Input function: captions or labels of an experiment's data set, which must have the split of the job.

    Raises:
        WorkflowError: if the settings of the data set say that it has no such split, before anything is run.
    """

    def paths(wildcards):
        dataset = walk("experiment.dataset", wildcards)
        scored = scored_splits(config["datasets"][dataset])
        if wildcards.split not in ("train", *scored):
            raise WorkflowError(
                f"data set {dataset} has no split {wildcards.split}: its settings say so (`test: null`, or a share of "
                f"0); ask for the scores of {' or '.join(scored)}"
            )
        return expand(ARTIFACTS[kind], dataset=dataset)

    return paths


def imported(setting):
    """Input function: the file of the split of the job that an external experiment names.

    Args:
        setting: `captions`, which must be there, or `ids`, of which there may be none.

    Raises:
        WorkflowError: if the experiment names no captions of the split, before anything is run.
    """

    def path(wildcards):
        experiment = experiment_of(wildcards.trial)
        scored = splits_of(config, experiment)
        if wildcards.split not in scored:
            raise WorkflowError(
                f"experiments.{experiment}.captions: no file of split {wildcards.split}: name one, or ask for the "
                f"scores of {' or '.join(scored) or 'no split'}"
            )
        named = file_of(config["experiments"][experiment][setting], wildcards.split)
        return [] if named is None else [brought(named)]

    return path


def of_split(kind):
    """Input function: an artifact of all trials of the report that caption the data set and split of the job."""

    def paths(wildcards):
        return [
            path
            for trial in reported(" ".join([*CAPTIONED, "trial"]))
            if config["experiments"][experiment_of(trial)]["dataset"] == wildcards.dataset
            and wildcards.split in splits_of(config, experiment_of(trial))
            for path in expand(ARTIFACTS[kind], trial=trial, split=wildcards.split)
        ]

    return paths


def reading(wildcards):
    """Parameter function: how the captions of another system are read, as JSON."""
    kept = {key: walk(f"experiment.{key}", wildcards) for key in ("form", "tokenizer")}
    return json.dumps(kept, sort_keys=True)


def of_encoders(kind, routes, having=""):
    """Input function of an artifact of the encoders that the report's experiments stand on, each encoder once.

    Args:
        kind: A key of ARTIFACTS.
        routes: For a kind of experiments, the routes from one to its encoders.
        having: End of a route, such as ".finetune", to a setting that an encoder must have.
    """
    each = [
        artifact(kind, each=f"{of} experiment", where=route + having, encoder=route)
        for of, own in routes.items()
        for route in own
    ]
    return lambda wildcards: list(dict.fromkeys(path for paths in each for path in paths(wildcards)))


def reported(each):
    """Names of the entries that `each` stands for, as `artifact` takes it: all of a section, or the report's."""
    *kinds, word = each.split()
    if word == "explanation":
        return config["report"]["explanations"]
    if word not in ("experiment", "trial"):
        return list(config[SECTIONS[word]])
    entries = {name: config["experiments"][name] for name in config["report"]["experiments"]}
    entries = {name: entry for name, entry in entries.items() if not kinds or entry["kind"] in kinds}
    if word == "experiment":
        return list(entries)
    return [trial for name, entry in entries.items() for trial in trials_of(name, entry["seeds"])]


def stages_behind(kind):
    """The stages that an artifact stands on, as JSON: how many jobs each has, and the stages whose output they read."""
    stages, seen, pending = {}, set(), [(ARTIFACTS[kind], None)]
    while pending:
        path, reader = pending.pop()
        found = maker(moved(path))
        if found is None:
            continue
        made_by, wildcards = found
        name, job = made_by.name, (made_by.name, *wildcards.values())
        stage = stages.setdefault(name, {"jobs": 0, "reads": set()})
        if reader is not None:
            stages[reader]["reads"].add(name)
        if job not in seen:
            seen.add(job)
            stage["jobs"] += 1
            for item in made_by.input:
                paths = item(Wildcards(fromdict=wildcards)) if callable(item) else [item.apply_wildcards(wildcards)]
                pending += [(path, name) for path in paths]
    return json.dumps(stages, sort_keys=True, default=sorted)


def maker(path):
    """The rule that makes a file, and its wildcards; None for a file that the user brings."""
    for candidate in workflow.rules:
        for output in candidate.output:
            if found := output.match(path):
                return candidate, found.groupdict()
    return None


def own_file(route):
    """Input function of a file that the user brings, if a route leads to its path and not to a word (`random`)."""

    def path(wildcards):
        value = walk(route, dict(wildcards.items()))
        is_path = isinstance(value, str) and (len(Path(value).parts) > 1 or Path(value).suffix)
        return [brought(value)] if is_path else []

    return path


def brought_file(route):
    """Input function of a file that the user brings; nothing where the route leads to null."""

    def path(wildcards):
        value = walk(route, wildcards)
        return [] if value is None else [brought(value)]

    return path


def settings(route, without=()):
    """Parameter function: settings at the end of a route, as JSON text with sorted keys for Snakemake to compare.

    Args:
        route: Route from a wildcard to an entry or a setting.
        without: Settings that the stage does not read, so that it does not run again for them.
    """

    def text(wildcards):
        word = route.rpartition(".")[2]
        value = walk(route, dict(wildcards.items()))
        entry = config[SECTIONS[word]][value] if isinstance(value, str) else value
        if without:
            entry = {key: setting for key, setting in entry.items() if key not in without}
        return json.dumps(entry, sort_keys=True)

    return text


def experiment_chain(wildcards):
    """Parameter function: all settings that an experiment stands on, as JSON."""
    return json.dumps(chain_of(config, wildcards.experiment, ARTIFACTS), sort_keys=True)


def seed(wildcards):
    """Parameter function: the seed of a trial, as text for Snakemake to compare."""
    return str(seed_of(wildcards.trial, walk("experiment.seeds", wildcards)))


def code(stage, *files):
    """Parameter function: digests of the code that computes a stage's values, and of files that it fills in."""

    def digests(wildcards):
        dataset = config["datasets"][wildcards.dataset]["kind"] if hasattr(wildcards, "dataset") else None
        return "-".join([stage_digest(stage, dataset), *map(file_digest, files)])

    return digests


stage_digest = cache(digest)


@cache
def file_digest(name):
    return sha256((PACKAGE / name).read_bytes()).hexdigest()[:16]


def scaled(amount):
    """Resource function: an amount at the first attempt, twice as much at the second, three times as much from then on.

    A job may have failed for want of memory or time. It may also have been preempted, any number of times.

    Args:
        amount: Megabytes, or a time as "30m", "4h", "2d".
    """

    def for_attempt(wildcards, attempt):
        factor = min(attempt, 3)
        if isinstance(amount, str):
            return f"{int(amount[:-1]) * factor}{amount[-1]}"
        return amount * factor

    return for_attempt


def all_inputs(wildcards, input):
    """Parameter function: all inputs as words of a shell command, short however many shards there are."""
    return as_words(input)


def check_gpus():
    """Before the first job, raise an error if more GPUs are asked for than there are, and warn once if there is none.

    Without this, Snakemake lowers what a rule asks for to what the call allows, and does not say so. Where a scheduler
    starts the jobs nothing is checked, because they do not run on this machine's GPUs.
    """
    if workflow.non_local_exec or workflow.touch:
        return
    limit = workflow.global_resources.get("gpu").value
    rules_of_gpus = {rule.name: rule.resources.get("gpu") for rule in workflow.rules}
    asked = {name: gpu.value for name, gpu in rules_of_gpus.items() if not gpu.is_evaluable() and gpu.value}
    try:
        warning = gpus.check_machine(limit, asked)
    except PipelineError as error:
        raise WorkflowError(str(error)) from None
    if warning and any(job.resources.get("gpu") for job in workflow.dag.needrun_jobs()):
        logger.warning(f"WARNING: {warning}")

"""
Functions by which rules name the artifacts that they read and make.

A route such as "graph.nodes.sampling" starts at a wildcard and walks config.yaml: it leads to the sampling of the nodes
of this graph. So a rule names its inputs by what they are, and config.yaml says which these are.
"""

import json
from pathlib import Path

from snakemake.iocontainers import Wildcards

from pipeline.workflow.paths import ARTIFACTS
from pipeline.workflow.shards import shard_names
from pipeline.workflow.shown import shown_split
from pipeline.workflow.splits import decoded_as, recognized_splits, scored_splits, splits_of
from pipeline.workflow.trials import experiment_of, trials_of

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


def with_split(kind):
    """Input function: captions or labels of an experiment's data set, which must have the split of the job.

    Raises:
        WorkflowError: if the settings of the data set say that it has no such split, before anything is run.
    """

    def paths(wildcards):
        dataset = walk("experiment.dataset", wildcards)
        scored = scored_splits(config["datasets"][dataset])
        if wildcards.split not in recognized_splits(config["datasets"][dataset]):
            raise WorkflowError(
                f"data set {dataset} has no split {wildcards.split}: its settings say so (`test: null`, or a share of "
                f"0); ask for the scores of {' or '.join(scored)}"
            )
        return expand(ARTIFACTS[kind], dataset=dataset)

    return paths


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

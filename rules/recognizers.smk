"""
Functions by which rules name what recognizers read, and the parameters of their jobs.
"""

from pipeline.recognition.front_settings import front_settings


def first_weights(wildcards):
    """Input function: the file of weights that a training begins with, or the model of another experiment.

    The user brings the file: of the backbone, or of what CAST trains.
    """
    recognizer = config["recognizers"][walk("experiment.recognizer", wildcards)]
    if recognizer["kind"] == "cast":
        return own_file("experiment.recognizer.weights")(wildcards)
    weights = recognizer.get("backbone", {}).get("weights")
    if isinstance(weights, dict) and "experiment" in weights:
        return expand(ARTIFACTS["model"], trial=weights["experiment"])
    return own_file("experiment.recognizer.backbone.weights")(wildcards) if isinstance(weights, str) else []


def experts(wildcards):
    """Input function: the weights of the spatial and of the temporal expert of a cast recognizer; none of others.

    The parts of a routing experiment have the same ones.
    """
    of_job = wildcards.get("recognizer")
    if of_job is None:
        is_routing = holds("experiment.kind=routing", wildcards)
        of_job = walk("experiment.selector.recognizer" if is_routing else "experiment.recognizer", wildcards)
    return experts_of(of_job)


def motion_experts(wildcards):
    """Input function: the weights of the experts of the recognizer whose vectors are motion."""
    return experts_of(walk("encoder.experiment.recognizer", wildcards))


def map_weights(wildcards):
    """Input function: the weights of the encoder of maps, or the model of the recognizer that it is."""
    name = walk("maps.encoder", wildcards)
    trained = config["encoders"][name].get("experiment")
    return expand(ARTIFACTS["weights"], encoder=name) if trained is None else expand(ARTIFACTS["model"], trial=trained)


def map_experts(wildcards):
    """Input function: the weights of the experts of the recognizer whose maps are stored; none of other encoders."""
    entry = config["encoders"][walk("maps.encoder", wildcards)]
    return experts_of(config["experiments"][entry["experiment"]]["recognizer"]) if "experiment" in entry else []


def experts_of(name):
    """The weights of the spatial and of the temporal expert of a recognizer; none if it is of another kind than cast."""
    recognizer = config["recognizers"][name]
    named = [recognizer[role] for role in ("spatial", "temporal") if recognizer["kind"] == "cast"]
    return [ARTIFACTS["weights"].format(encoder=encoder) for encoder in named]


def front(wildcards):
    """Parameter function: what of a cast recognizer decides which tokens are stored of clips, as JSON."""
    return json.dumps(front_settings(config["recognizers"][wildcards.recognizer]), sort_keys=True)


def teachers(wildcards):
    """Input function: the models whose regions a recognizer learns first, in the order of the places' names."""
    recognizer = config["recognizers"][walk("experiment.recognizer", wildcards)]
    kick_start = recognizer["training"].get("kick_start") or {"teachers": {}}
    experiments = [experiment for _, experiment in sorted(kick_start["teachers"].items())]
    return expand(ARTIFACTS["model"], trial=experiments)


groups_of_part = artifact(
    "groups", where="experiment.part", dataset="experiment.dataset", groups="experiment.part.groups"
)


def groups_file(wildcards):
    """Input function: the file of groups that the user brings, where there is one."""
    settings = config["groups"][wildcards.groups]
    return [brought(settings["file"])] if settings["kind"] == "file" else []


def shown_embeddings(wildcards):
    """Input function: pictures of what the heads see, of the report's routing experiments and of CAST beside them.

    They are of first seeds; of a routing experiment it is the one of its selector. Where nothing is routed there are
    none, because they are another pass over the clips of the split that is shown.
    """
    found = []
    shown = {name: config["experiments"][name] for name in config["report"]["experiments"]}
    routed = {entry["dataset"] for entry in shown.values() if entry["kind"] == "routing"}
    for name, experiment in shown.items():
        named = experiment.get("selector", name)
        entry = config["experiments"][named]
        is_recognition = entry["kind"] == "recognition" and entry["dataset"] in routed
        if is_recognition and config["recognizers"][entry["recognizer"]]["kind"] == "cast":
            found += expand(
                ARTIFACTS["embeddings"], trial=named, split=shown_split(config["datasets"][entry["dataset"]])
            )
    return list(dict.fromkeys(found))


def models_of(parts):
    """Input function: the models of the selector of a routing experiment, or of its experts, with the trial's seed.

    Args:
        parts: `selector` or `experts`.
    """

    def paths(wildcards):
        named = config["experiments"][experiment_of(wildcards.trial)][parts]
        seed = wildcards.trial[len(experiment_of(wildcards.trial)) :]
        trials = [f"{name}{seed}" for name in ([named] if isinstance(named, str) else named)]
        return expand(ARTIFACTS["model"], trial=trials)

    return paths


def recognizer_inputs():
    """Inputs of a stage that runs a recognizer: the frames of clips, or, for a probe, the features that it reads."""
    whole = {"dataset": "experiment.dataset", "shard": "all"}
    is_probe = "experiment.recognizer.kind=probe"
    of_frames = "experiment.recognizer.frames"
    return {
        "clips": artifact("clips", where=of_frames, clipping="experiment.clipping", **whole),
        "features": artifact("features", where=is_probe, trial="experiment.recognizer.features", **whole),
    }


def views(wildcards):
    """Parameter function: the views of a recognizer, as JSON; a probe has one."""
    recognizer = config["recognizers"][walk("experiment.recognizer", wildcards)]
    one = {
        "temporal": 1,
        "spatial": 1,
        "short_side": None,
        "size": 1,
        "batch_size": recognizer["training"]["batch_size"],
    }
    return json.dumps(recognizer.get("views", one), sort_keys=True)


def one_view(wildcards):
    """Parameter function: the views of a recognizer, as JSON, for a stage that shows one of them in the centre.

    How many are scored counts for nothing there.
    """
    return json.dumps(json.loads(views(wildcards)) | {"temporal": 1, "spatial": 1}, sort_keys=True)


def merging(wildcards):
    """Parameter function: how views are merged for the scores that count: as the recognizer's paper does."""
    kind = config["recognizers"][walk("experiment.recognizer", wildcards)]["kind"]
    return "softmax" if kind == "cast" else "logits"


def trained_recognizer(wildcards):
    """Parameter function: what of a recognizer's settings decides its weights, as JSON.

    Of the views, validation has the size of training and one sample: those that are scored re-run no training.
    """
    recognizer = config["recognizers"][walk("experiment.recognizer", wildcards)]
    if "views" in recognizer:
        validated = {"temporal": 1, "spatial": 1, "size": recognizer["augmentation"]["size"], "batch_size": 1}
        recognizer = recognizer | {"views": recognizer["views"] | validated}
    return json.dumps(recognizer, sort_keys=True)

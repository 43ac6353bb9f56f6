"""
Functions by which rules name what a data set brings: files of the user, listings, splits, and what is generated.
"""

from pipeline.datasets.listing import passed_over as passed_over_below
from pipeline.datasets.readers import annotation_files, clip_form, label_files, list_videos
from pipeline.datasets.readers import listing_digests, mapping_files, why_unlabelled
from pipeline.workflow.splits import needed_splits


def needed(wildcards):
    """Parameter function: the splits of a data set that experiments need, as JSON."""
    return json.dumps(needed_splits(config, wildcards.dataset))


def needed_labels(wildcards):
    """Parameter function: the splits of a data set in which experiments need labelled clips, as JSON."""
    return json.dumps(needed_splits(config, wildcards.dataset, ["recognition"]))


def unseen_participants(wildcards):
    """Input function: the file of the participants whom training does not show, if the data set names one."""
    named = walk("experiment.dataset.unseen", wildcards) or {}
    return [brought(named[wildcards.split])] if named.get(wildcards.split) else []


def labelled_settings(wildcards):
    """Parameter function: settings of a data set as JSON, without the files that only scores are made by.

    So labels, and all that is trained on them, do not run again for these files.
    """
    entry = config["datasets"][wildcards.dataset]
    return json.dumps(entry | {key: None for key in ("tail", "unseen") if key in entry}, sort_keys=True)


def kind(wildcards):
    """Parameter function: kind of the data set, such as `folder`."""
    return config["datasets"][wildcards.dataset]["kind"]


def source(wildcards):
    """Parameter function: folder of the user's videos, or a list or table of them; empty if there is none.

    It is no input, because `listing` says what of it a shard depends on.
    """
    settings = config["datasets"][wildcards.dataset]
    return [settings["videos"]] if "videos" in settings else []


def mapping(wildcards):
    """Parameter function: files that give clips their ids or intervals; empty if there is none.

    They are no input either, because `listing` says what of them a shard depends on.
    """
    return mapping_files(config["datasets"][wildcards.dataset])


def form(wildcards):
    """Parameter function: how files of frames and lists of clips are written, as JSON."""
    return json.dumps(clip_form(config["datasets"][wildcards.dataset]).model_dump(mode="json"), sort_keys=True)


def annotations(wildcards):
    """Input function: files of captions, ids and splits that the user brings."""
    return [brought(path) for path in annotation_files(config["datasets"][wildcards.dataset])]


def glyph_files(wildcards):
    """Input function: files of real digits and their labels, where a data set shows them."""
    glyphs = config["datasets"][wildcards.dataset]["glyphs"]
    files = [] if isinstance(glyphs, str) else [path for split in glyphs.values() for path in split.values()]
    return [brought(path) for path in files]


def label_annotations(wildcards):
    """Input function: files of labels, classes and splits that the user brings.

    Raises:
        WorkflowError: if the settings of the data set say that it has no labels, before anything is run.
    """
    why = why_unlabelled(config["datasets"][wildcards.dataset])
    if why is not None:
        raise WorkflowError(f"datasets.{wildcards.dataset}: {why}")
    return [brought(path) for path in label_files(config["datasets"][wildcards.dataset])]


def captions_to_check(wildcards):
    """Input function: captions of a data set; of one that may have some and has none, too, unless it has labels."""
    settings = config["datasets"][wildcards.dataset]
    is_told = settings.get("captions") or ("captions" in settings and why_unlabelled(settings) is not None)
    return expand(ARTIFACTS["captions"], dataset=wildcards.dataset) if is_told else []


def labels_to_check(wildcards):
    """Input function: labels of a data set that has some."""
    is_labelled = why_unlabelled(config["datasets"][wildcards.dataset]) is None
    return expand(ARTIFACTS["labels"], dataset=wildcards.dataset) if is_labelled else []


def table_of_splits(kind, route):
    """Input function: the table that holds the splits of a data set, for a stage that reads nothing else of it.

    Recognizers are trained and scored on the splits of the labels, so that these count wherever there are labels.

    Args:
        kind: `labels` or `captions`; of the other kind there is nothing.
        route: Route to the data set.
    """

    def path(wildcards):
        dataset = walk(route, wildcards)
        is_labelled = why_unlabelled(config["datasets"][dataset]) is None
        return expand(ARTIFACTS[kind], dataset=dataset) if is_labelled == (kind == "labels") else []

    return path


def if_tested(kind, **routes):
    """Input function of an artifact of a prediction's experiment; nothing where its data set has no test split."""
    paths = artifact(kind, **routes)

    def of_prediction(wildcards):
        tested = "test" in splits_of(config, walk("prediction.experiment", wildcards))
        return paths(wildcards) if tested else []

    return of_prediction


def listing(wildcards):
    """Parameter function: digest of the names, sizes and intervals of a shard's clips; empty for generated videos."""
    if not source(wildcards):
        return ""
    return dataset_listing(wildcards.dataset)[int(wildcards.shard)]


def passed_over(wildcards):
    """Parameter function: what lies in the folder of the user's videos and is not listed, a line for each reason."""
    if clip_form(config["datasets"][wildcards.dataset]).frames is not None:
        return []  # clips are folders, in which files are frames
    return [line for folder in source(wildcards) for line in passed_over_below(Path(folder))]


@cache
def dataset_listing(dataset):
    """The digests of all shards, in their order, for which the folder is listed once."""
    settings = config["datasets"][dataset]
    named = [Path(path) for path in mapping_files(settings)]
    try:
        source, form = Path(settings["videos"]), clip_form(settings)
        videos = list_videos(settings["kind"], source, named[0] if named else None, named, form)
        return listing_digests(videos, settings["shards"])
    except PipelineError as error:
        raise WorkflowError(f"datasets.{dataset}: {error}") from None


def generated(wildcards):
    """Parameter function: a line for each data set that is generated, of what it holds when it is.

    `check_data` prints them, because who asks what is there wants no thousands of videos to be made.
    """
    lines = []
    for name, settings in config["datasets"].items():
        if "clips" in settings:
            clips = settings["clips"]
            parts = ", ".join(f"{split} {number:,}" for split, number in clips.items())
            told = f"{settings['captions']} captions a video" if "captions" in settings else "a label a video"
            lines.append(
                f"{name} ({settings['kind']}): {sum(clips.values()):,} videos, made when they are needed ({parts}; "
                f"{told})"
            )
    return lines

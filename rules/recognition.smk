"""
Recognition: recognizers trained on labelled clips, logits of the views of a split's clips, their scores, and where
graph modules look.

REQUIRED INPUTS   clips, labels; a file of weights, or the model of another experiment, where the backbone begins there;
                  the models of other experiments whose regions are learned first, where there are any; the weights
                  of two encoders, for CAST
OUTPUTS           results/experiments/{trial}/model.safetensors and curves.csv
                  results/datasets/{dataset}/fronts/{clipping}/{recognizer}/{shard}.zarr   (schema: fronts)
                  results/datasets/{dataset}/features/{trial}/{shard}.zarr   (schema: features)
                  results/experiments/{trial}/{split}/logits.zarr   (schema: logits)
                  results/experiments/{trial}/{split}/scores.json, per_video.csv, per_class.csv
                  results/experiments/{trial}/{split}/epic_scores.json, epic.pkl   (data sets of kind epic_kitchens;
                  the split may be `challenge`)
                  results/experiments/{trial}/{split}/regions.zarr   (schema: regions), region_scores.json
                  checkpoints/ (not declared; an interrupted training goes on from there)
"""

from functools import partial

IS_EPIC = "experiment.dataset.kind=epic_kitchens"

# What the target `all` makes of the report's recognition experiments, once everything before it is there.
of_recognized = partial(artifact, each="recognition trial", dataset="experiment.dataset", split="scored")
recognition_results = [
    *[of_recognized(kind) for kind in ("scores", "per_video", "per_class", "logits")],
    *[of_recognized(kind, where=IS_EPIC) for kind in ("epic_scores", "epic_export")],
    artifact("curves", each="recognition trial"),
    artifact("model", each="recognition trial"),
]


# For more GPUs call with `--resources gpu=4 --set-resources train_recognizer:gpu=4`. Without any GPU the training is one
# process on the CPU.
rule train_recognizer:
    """Train the recognizer of one experiment with one of its seeds."""
    input:
        **recognizer_inputs(),
        labels=artifact("labels", dataset="experiment.dataset"),
        groups=groups_of_part,
        weights=first_weights,
        experts=experts,
        fronts=artifact(
            "fronts",
            where="experiment.recognizer.stored_views",
            dataset="experiment.dataset",
            clipping="experiment.clipping",
            recognizer="experiment.recognizer",
            shard="all",
        ),
        teachers=teachers,
    output:
        model=artifact("model"),
        curves=report(
            artifact("curves"),
            category="Training curves",
            caption="captions/curves.rst",
            labels={"experiment": "{trial}"},
        ),
    log:
        "logs/train_recognizer/{trial}.log",
    benchmark:
        "logs/train_recognizer/{trial}.tsv"
    wildcard_constraints:
        trial=trial_names(kind="recognition"),
    conda:
        "../envs/pipeline.yaml"
    threads: 8
    resources:
        mem_mb=scaled(16000),
        runtime=scaled("2d"),
        gpu=1,
    params:
        recognizer=trained_recognizer,
        part=settings("experiment.part"),
        seed=seed,
        code=code("train_recognizer"),
    shell:
        with_checkpoints("""
        python -m pipeline.jobs.gpus {resources.gpu} \
            python -m pipeline.jobs.ranks {resources.gpu} -m pipeline train_recognizer \
            --clips {input.clips:q} \
            --features {input.features:q} \
            --fronts {input.fronts:q} \
            --labels {input.labels:q} \
            --groups {input.groups:q} \
            --weights {input.weights:q} \
            --experts {input.experts:q} \
            --teachers {input.teachers:q} \
            --recognizer {params.recognizer:q} \
            --part {params.part:q} \
            --seed {params.seed} \
            --threads {threads} \
            --checkpoints checkpoints/{wildcards.trial} \
            --out {output.model:q} \
            --curves {output.curves:q} \
            >{log:q} 2>&1
        """)


rule extract_front:
    """Store what the frozen experts of a cast recognizer make of a few views of the clips of one shard."""
    input:
        clips=artifact("clips", where="dataset"),  # perhaps those of the data set that this one shares them with
        labels=artifact("labels"),
        experts=experts,
    output:
        artifact("fronts"),
    log:
        "logs/extract_front/{dataset}/{clipping}/{recognizer}/{shard}.log",
    benchmark:
        "logs/extract_front/{dataset}/{clipping}/{recognizer}/{shard}.tsv"
    wildcard_constraints:
        recognizer=names("recognizers", having="stored_views"),
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(6000),
        runtime=scaled("12h"),
        gpu=1,
    params:
        settings=front,
        code=code("extract_front"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} python -m pipeline extract_front \
            --clips {input.clips:q} \
            --labels {input.labels:q} \
            --experts {input.experts:q} \
            --settings {params.settings:q} \
            --threads {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule extract_features:
    """Store what the heads of a recognizer see of the clips of one shard, for probes."""
    input:
        clips=artifact("clips", clipping="experiment.clipping"),
        model=artifact("model"),
        experts=experts,
    output:
        artifact("features"),
    log:
        "logs/extract_features/{dataset}/{trial}/{shard}.log",
    benchmark:
        "logs/extract_features/{dataset}/{trial}/{shard}.tsv"
    wildcard_constraints:
        trial=trial_names(kind="recognition"),
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(4000),
        runtime=scaled("4h"),
        gpu=1,
    params:
        settings=one_view,
        code=code("extract_features"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} python -m pipeline extract_features \
            --clips {input.clips:q} \
            --model {input.model:q} \
            --experts {input.experts:q} \
            --settings {params.settings:q} \
            --threads {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule recognize_videos:
    """Compute the logits of all views of every clip of a split."""
    input:
        **recognizer_inputs(),
        labels=with_split("labels"),
        groups=groups_of_part,
        model=artifact("model"),
        experts=experts,
    output:
        artifact("logits"),
    log:
        "logs/recognize_videos/{trial}/{split}.log",
    benchmark:
        "logs/recognize_videos/{trial}/{split}.tsv"
    wildcard_constraints:
        trial=trial_names(kind="recognition"),
        split=CONSTRAINTS["split"],
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(8000),
        runtime=scaled("12h"),
        gpu=1,
    params:
        settings=views,
        part=settings("experiment.part"),
        code=code("recognize_videos"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} \
            python -m pipeline.jobs.ranks {resources.gpu} -m pipeline recognize_videos \
            --clips {input.clips:q} \
            --features {input.features:q} \
            --labels {input.labels:q} \
            --groups {input.groups:q} \
            --model {input.model:q} \
            --experts {input.experts:q} \
            --split {wildcards.split} \
            --settings {params.settings:q} \
            --part {params.part:q} \
            --threads {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule score_recognizer:
    """Score the recognized clips of a split."""
    input:
        logits=artifact("logits"),
        labels=artifact("labels", dataset="experiment.dataset"),
        groups=groups_of_part,
    output:
        scores=report(
            artifact("scores"),
            category="Scores",
            caption="captions/scores.rst",
            labels={"experiment": "{trial}", "split": "{split}"},
        ),
        per_video=artifact("per_video"),
        per_class=artifact("per_class"),
    log:
        "logs/score_recognizer/{trial}/{split}.log",
    benchmark:
        "logs/score_recognizer/{trial}/{split}.tsv"
    wildcard_constraints:
        trial=trial_names(kind="recognition"),
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(3000),
        runtime=scaled("1h"),
    params:
        part=settings("experiment.part"),
        merge=merging,
        code=code("score_recognizer"),
    shell:
        """
        python -m pipeline score_recognizer \
            --logits {input.logits:q} \
            --labels {input.labels:q} \
            --groups {input.groups:q} \
            --split {wildcards.split} \
            --part {params.part:q} \
            --merge {params.merge:q} \
            --out {output.scores:q} \
            --per-video {output.per_video:q} \
            --per-class {output.per_class:q} \
            >{log:q} 2>&1
        """


rule score_epic:
    """Score verbs, nouns and actions of EPIC-Kitchens, and export what the official tools read."""
    input:
        logits=artifact("logits"),
        labels=artifact("labels", dataset="experiment.dataset"),
        tail_verbs=brought_file("experiment.dataset.tail.verb"),
        tail_nouns=brought_file("experiment.dataset.tail.noun"),
        unseen=unseen_participants,
    output:
        scores=artifact("epic_scores"),
        export=artifact("epic_export"),
    log:
        "logs/score_epic/{trial}/{split}.log",
    benchmark:
        "logs/score_epic/{trial}/{split}.tsv"
    wildcard_constraints:
        trial=trials_on("epic_kitchens"),
        split=CONSTRAINTS["split"],
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(3000),
        runtime=scaled("1h"),
    params:
        merge=merging,
        code=code("score_epic"),
    shell:
        """
        python -m pipeline score_epic \
            --logits {input.logits:q} \
            --labels {input.labels:q} \
            --split {wildcards.split} \
            --merge {params.merge:q} \
            --tail-verbs {input.tail_verbs:q} \
            --tail-nouns {input.tail_nouns:q} \
            --unseen {input.unseen:q} \
            --out {output.scores:q} \
            --export {output.export:q} \
            >{log:q} 2>&1
        """


rule extract_regions:
    """Extract where the graph modules of a recognizer look, and how near that is to objects of generated clips."""
    input:
        clips=recognizer_inputs()["clips"],
        labels=with_split("labels"),
        model=artifact("model"),
        truth=artifact("truth", where="experiment.dataset.clips", dataset="experiment.dataset", shard="all"),
    output:
        regions=artifact("regions"),
        scores=artifact("region_scores"),
    log:
        "logs/extract_regions/{trial}/{split}.log",
    benchmark:
        "logs/extract_regions/{trial}/{split}.tsv"
    wildcard_constraints:
        trial=trial_names(kind="recognition"),
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(8000),
        runtime=scaled("4h"),
        gpu=1,
    params:
        settings=settings("experiment.recognizer.views"),
        kind=lambda wildcards: walk("experiment.dataset.kind", wildcards),
        shown=lambda wildcards: str(config["report"]["videos"]),
        code=code("extract_regions"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} \
            python -m pipeline extract_regions \
            --clips {input.clips:q} \
            --labels {input.labels:q} \
            --truth {input.truth:q} \
            --model {input.model:q} \
            --split {wildcards.split} \
            --kind {params.kind} \
            --shown {params.shown:q} \
            --settings {params.settings:q} \
            --threads {threads} \
            --out {output.regions:q} \
            --scores {output.scores:q} \
            >{log:q} 2>&1
        """

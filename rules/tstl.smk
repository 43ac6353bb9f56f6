"""
TSTL: groups of classes, a selector of the group and an expert for each over one frozen body, and the class of a clip by
all of them together. Selector and experts are trained by `train_recognizer`.

REQUIRED INPUTS   clips, labels; a file of groups that the user brings, or the validation logits of another experiment
OUTPUTS           results/datasets/{dataset}/groups/{groups}.json
                  results/experiments/{trial}/{split}/routes.zarr   (schema: routes)
                  results/experiments/{trial}/{split}/scores.json, per_video.csv, per_class.csv
                  results/experiments/{trial}/{split}/embeddings.png
"""

from functools import partial

# What the target `all` makes of the report's routing experiments, once everything before it is there.
of_routed = partial(artifact, each="routing trial", dataset="experiment.dataset", split="scored")
routing_results = [of_routed(kind) for kind in ("scores", "per_video", "per_class", "routes")]


rule group_classes:
    """Group the classes of a data set for the experts of TSTL."""
    input:
        labels=artifact("labels"),
        file=groups_file,
        logits=artifact("logits", where="groups.experiment", trial="groups.experiment", split="val"),
    output:
        artifact("groups"),
    log:
        "logs/group_classes/{dataset}/{groups}.log",
    benchmark:
        "logs/group_classes/{dataset}/{groups}.tsv"
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled("1h"),
    params:
        settings=settings("groups"),
        code=code("group_classes"),
    shell:
        """
        python -m pipeline group_classes \
            --labels {input.labels:q} \
            --file {input.file:q} \
            --logits {input.logits:q} \
            --settings {params.settings:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule route_clips:
    """Compute the logits of all views of every clip of a split by the selector and all experts."""
    input:
        clips=artifact("clips", clipping="experiment.clipping", dataset="experiment.dataset", shard="all"),
        labels=with_split("labels"),
        groups=artifact("groups", dataset="experiment.dataset", groups="experiment.selector.part.groups"),
        selector=models_of("selector"),
        parts=models_of("experts"),
        experts=experts,
    output:
        artifact("routes"),
    log:
        "logs/route_clips/{trial}/{split}.log",
    benchmark:
        "logs/route_clips/{trial}/{split}.tsv"
    wildcard_constraints:
        trial=trial_names(kind="routing"),
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(8000),
        runtime=scaled("1d"),
        gpu=1,
    params:
        settings=settings("experiment.selector.recognizer.views"),
        code=code("route_clips"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} \
            python -m pipeline.jobs.ranks {resources.gpu} -m pipeline route_clips \
            --clips {input.clips:q} \
            --labels {input.labels:q} \
            --groups {input.groups:q} \
            --selector {input.selector:q} \
            --parts {input.parts:q} \
            --experts {input.experts:q} \
            --split {wildcards.split} \
            --settings {params.settings:q} \
            --threads {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule score_routing:
    """Score the routed clips of a split by each rule."""
    input:
        routes=artifact("routes"),
        labels=artifact("labels", dataset="experiment.dataset"),
        groups=artifact("groups", dataset="experiment.dataset", groups="experiment.selector.part.groups"),
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
        "logs/score_routing/{trial}/{split}.log",
    benchmark:
        "logs/score_routing/{trial}/{split}.tsv"
    wildcard_constraints:
        trial=trial_names(kind="routing"),
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(3000),
        runtime=scaled("1h"),
    params:
        code=code("score_routing"),
    shell:
        """
        python -m pipeline score_routing \
            --routes {input.routes:q} \
            --labels {input.labels:q} \
            --groups {input.groups:q} \
            --split {wildcards.split} \
            --out {output.scores:q} \
            --per-video {output.per_video:q} \
            --per-class {output.per_class:q} \
            >{log:q} 2>&1
        """


rule draw_embeddings:
    """Draw what the head of a recognizer sees of the clips of a split."""
    input:
        clips=artifact("clips", clipping="experiment.clipping", dataset="experiment.dataset", shard="all"),
        labels=with_split("labels"),
        groups=groups_of_part,
        model=artifact("model"),
        experts=experts,
    output:
        report(
            artifact("embeddings"),
            category="Embeddings",
            caption="captions/embeddings.rst",
            labels={"experiment": "{trial}", "split": "{split}"},
        ),
    log:
        "logs/draw_embeddings/{trial}/{split}.log",
    benchmark:
        "logs/draw_embeddings/{trial}/{split}.tsv"
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
        part=settings("experiment.part"),
        code=code("draw_embeddings"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} python -m pipeline draw_embeddings \
            --clips {input.clips:q} \
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

"""
Evaluation: captions for a split, or those of another system, and their scores.

REQUIRED INPUTS   graphs or maps, model, captions; vocabulary for akg_scores.json
                  pair_motion, knowledge, nodes of objects, where the experiment has them
                  files of captions (and ids) that the user brings, of external experiments
OUTPUTS           results/experiments/{trial}/{split}/captions.json, captions.csv, scores.json, per_video.csv
                  results/datasets/{dataset}/bounds/{split}.json
                  and, only where the report asks for them, akg_scores.json and
                  clip_scores/{metric}/{sampling}/{encoder}.json
"""


rule generate_captions:
    """Search for the best caption of every video of a split."""
    input:
        **captioner_inputs(experiment="experiment", dataset="experiment.dataset"),
        maps=map_inputs(experiment="experiment", dataset="experiment.dataset"),
        captions=with_split("captions"),
        model=artifact("model"),
    output:
        captions=artifact("generated"),
        table=artifact("generated_table"),
    log:
        "logs/generate_captions/{trial}/{split}.log",
    benchmark:
        "logs/generate_captions/{trial}/{split}.tsv"
    wildcard_constraints:
        trial=trials_of_kinds(CAPTIONING),
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(4000),
        runtime=scaled("4h"),
        gpu=1,
    params:
        settings=settings("experiment.captioner.decoding"),
        code=code("generate_captions"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} python -m pipeline generate_captions \
            --graphs {input.graphs:q} \
            --pair-motion {input.pair_motion:q} \
            --knowledge {input.knowledge:q} \
            --objects {input.objects:q} \
            --maps {input.maps:q} \
            --captions {input.captions:q} \
            --model {input.model:q} \
            --split {wildcards.split} \
            --settings {params.settings:q} \
            --threads {threads} \
            --out {output.captions:q} \
            --table {output.table:q} \
            >{log:q} 2>&1
        """


rule import_predictions:
    """Import the captions that another system made of a split."""
    input:
        predictions=imported("captions"),
        ids=imported("ids"),
        captions=artifact("captions", dataset="experiment.dataset"),
    output:
        captions=artifact("generated"),
        table=artifact("generated_table"),
    log:
        "logs/import_predictions/{trial}/{split}.log",
    benchmark:
        "logs/import_predictions/{trial}/{split}.tsv"
    wildcard_constraints:
        trial=trial_names(kind="external"),
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled("1h"),
    params:
        settings=reading,
        code=code("import_predictions"),
    shell:
        """
        python -m pipeline import_predictions \
            --predictions {input.predictions:q} \
            --ids {input.ids:q} \
            --captions {input.captions:q} \
            --split {wildcards.split} \
            --settings {params.settings:q} \
            --out {output.captions:q} \
            --table {output.table:q} \
            >{log:q} 2>&1
        """


rule score_captions:
    """Score the captions of a split against its references."""
    input:
        captions=artifact("generated"),
        references=artifact("captions", dataset="experiment.dataset"),
    output:
        scores=report(
            artifact("scores"),
            category="Scores",
            caption="captions/scores.rst",
            labels={"experiment": "{trial}", "split": "{split}"},
        ),
        per_video=artifact("per_video"),
    log:
        "logs/score_captions/{trial}/{split}.log",
    benchmark:
        "logs/score_captions/{trial}/{split}.tsv"
    wildcard_constraints:
        trial=trials_of_kinds(CAPTIONED),
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(3000),
        runtime=scaled("1h"),
    params:
        code=code("score_captions"),
    shell:
        """
        python -m pipeline score_captions \
            --captions {input.captions:q} \
            --references {input.references:q} \
            --split {wildcards.split} \
            --out {output.scores:q} \
            --per-video {output.per_video:q} \
            >{log:q} 2>&1
        """


rule score_bounds:
    """Score the commonest caption, other videos' captions, and one reference against the others."""
    input:
        captions=of_split("generated"),
        scores=of_split("scores"),
        references=artifact("captions"),
    output:
        artifact("bounds"),
    log:
        "logs/score_bounds/{dataset}/{split}.log",
    benchmark:
        "logs/score_bounds/{dataset}/{split}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(3000),
        runtime=scaled("1h"),
    params:
        code=code("score_bounds"),
    shell:
        """
        python -m pipeline score_bounds \
            --captions {input.captions:q} \
            --scores {input.scores:q} \
            --references {input.references:q} \
            --split {wildcards.split} \
            --out {output:q} \
            >{log:q} 2>&1
        """


# Made only where report.clip_scores asks for them, by an encoder that must not know the captions of the data set.
rule score_clip:
    """Score the captions of a split without references, by how near CLIP puts them to the frames."""
    input:
        captions=artifact("generated"),
        references=artifact("captions", dataset="experiment.dataset"),
        frames=artifact("frames", dataset="experiment.dataset", shard="all"),
        weights=artifact("weights"),
    output:
        artifact("clip_scores"),
    log:
        "logs/score_clip/{trial}/{split}/{metric}/{sampling}/{encoder}.log",
    benchmark:
        "logs/score_clip/{trial}/{split}/{metric}/{sampling}/{encoder}.tsv"
    wildcard_constraints:
        trial=trials_of_kinds(CAPTIONED),
        encoder=names("encoders", kind="clip4clip"),
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(6000),
        runtime=scaled("4h"),
        gpu=1,
    params:
        dataset=lambda wildcards: walk("experiment.dataset", wildcards),
        settings=settings("encoder"),
        code=code("score_clip"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} python -m pipeline score_clip \
            --captions {input.captions:q} \
            --references {input.references:q} \
            --frames {input.frames:q} \
            --weights {input.weights:q} \
            --split {wildcards.split} \
            --dataset {params.dataset:q} \
            --metric {wildcards.metric} \
            --settings {params.settings:q} \
            --threads {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """


# These scores follow AKG-sv's own way and are not comparable with other papers. They are made only where report.akg
# asks for them.
rule score_akg:
    """Score the captions of a split as AKG-sv does, against references cut down to the vocabulary."""
    input:
        captions=artifact("generated"),
        references=artifact("captions", dataset="experiment.dataset"),
        vocabulary=artifact("vocabulary", vocabulary="experiment.vocabulary"),
    output:
        artifact("akg_scores"),
    log:
        "logs/score_akg/{trial}/{split}.log",
    benchmark:
        "logs/score_akg/{trial}/{split}.tsv"
    wildcard_constraints:
        trial=trials_of_kinds(CAPTIONING),
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(3000),
        runtime=scaled("1h"),
    params:
        code=code("score_akg"),
    shell:
        """
        python -m pipeline score_akg \
            --captions {input.captions:q} \
            --references {input.references:q} \
            --vocabulary {input.vocabulary:q} \
            --split {wildcards.split} \
            --out {output:q} \
            >{log:q} 2>&1
        """

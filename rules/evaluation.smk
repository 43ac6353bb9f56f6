"""
Evaluation: captions for a split, and their scores.

REQUIRED INPUTS   graphs or maps, model, captions; vocabulary for akg_scores.json
                  pair_motion, knowledge, nodes of objects, where the experiment has them
OUTPUTS           results/experiments/{trial}/{split}/captions.json, captions.csv, scores.json, per_video.csv
                  and, only where the report asks for it, akg_scores.json
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
        trial=CAPTIONING_TRIALS,
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


rule score_captions:
    """Score the captions of a split against its references."""
    input:
        captions=artifact("generated"),
        references=artifact("captions", dataset="experiment.dataset"),
    output:
        scores=report(artifact("scores"), category="Scores", labels={"experiment": "{trial}", "split": "{split}"}),
        per_video=artifact("per_video"),
    log:
        "logs/score_captions/{trial}/{split}.log",
    benchmark:
        "logs/score_captions/{trial}/{split}.tsv"
    wildcard_constraints:
        trial=CAPTIONING_TRIALS,
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
        trial=CAPTIONING_TRIALS,
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

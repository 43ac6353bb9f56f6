"""
Evaluation: captions for a split, and their scores.

REQUIRED INPUTS   graphs, model, vocabulary, captions
OUTPUTS           results/experiments/{experiment}/{split}/captions.json and scores.json
"""


rule generate_captions:
    """Search for the best caption of every video of a split."""
    input:
        graphs=artifact("graphs", dataset="experiment.dataset", graph="experiment.graph", shard="all"),
        captions=artifact("captions", dataset="experiment.dataset"),
        model=artifact("model"),
    output:
        artifact("generated"),
    log:
        "logs/generate_captions/{experiment}/{split}.log",
    benchmark:
        "logs/generate_captions/{experiment}/{split}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: max(1, workflow.cores // 2)
    resources:
        mem_mb=4000,
        runtime="4h",
        gpu=1,
    params:
        settings=settings("experiment.captioner.decoding"),
        code=code("generate_captions"),
    shell:
        """
        python -m pipeline.gpus {resources.gpu} python -m pipeline generate_captions \
            --graphs {input.graphs:q} \
            --captions {input.captions:q} \
            --model {input.model:q} \
            --split {wildcards.split} \
            --settings {params.settings:q} \
            --threads {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule score_captions:
    """Score the captions of a split against its references."""
    input:
        captions=artifact("generated"),
        references=artifact("captions", dataset="experiment.dataset"),
    output:
        artifact("scores"),
    log:
        "logs/score_captions/{experiment}/{split}.log",
    benchmark:
        "logs/score_captions/{experiment}/{split}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime="1h",
    params:
        code=code("score_captions"),
    shell:
        """
        python -m pipeline score_captions \
            --captions {input.captions:q} \
            --references {input.references:q} \
            --split {wildcards.split} \
            --out {output:q} \
            >{log:q} 2>&1
        """

"""
Labels: the classes of a data set, the class of each clip, and the splits.

REQUIRED INPUTS   files of labels that the user brings, or none where clips are generated
OUTPUTS           results/datasets/{dataset}/labels.json
"""


rule index_labels:
    """Collect the classes, labels and splits of a data set."""
    input:
        made=artifact("made", where="dataset.clips", shard="all"),
        truth=artifact("truth", where="dataset.kind=shapes", shard="all"),
        videos=artifact("videos", where="dataset.videos", shard="all"),
        annotations=label_annotations,
    output:
        artifact("labels"),
    log:
        "logs/index_labels/{dataset}.log",
    benchmark:
        "logs/index_labels/{dataset}.tsv"
    # A data set that lacks a split ends the run here, and not after the training.
    priority: 1
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled("1h"),
    params:
        settings=labelled_settings,
        needed=needed_labels,
        code=code("index_labels"),
    shell:
        """
        python -m pipeline index_labels \
            --made {input.made:q} \
            --truth {input.truth:q} \
            --videos {input.videos:q} \
            --settings {params.settings:q} \
            --needed {params.needed:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """

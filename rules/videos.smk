"""
Videos: the clips of a data set, their captions and splits, and the sampled frames.

REQUIRED INPUTS   a folder of videos, or a list or table of them (kind `folder`), and files of captions (kinds `folder`,
                  `msvd`, `msrvtt`, `vatex`, `coco_captions`, `dense_captions`), or none (kind `shapes`)
OUTPUTS           results/datasets/{dataset}/videos/{shard}.json
                  results/datasets/{dataset}/captions.json
                  results/datasets/{dataset}/check.json   and check.txt, the same as a table
                  results/datasets/{dataset}/frames/{sampling}/{shard}.zarr   (schema: frames)
"""


rule make_shapes:
    """Generate the videos of one shard, with captions and the truth about every frame."""
    output:
        videos=artifact("made"),
        truth=artifact("truth"),
    log:
        "logs/make_shapes/{dataset}/{shard}.log",
    benchmark:
        "logs/make_shapes/{dataset}/{shard}.tsv"
    wildcard_constraints:
        dataset=names("datasets", kind="shapes"),
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1500),
        runtime=scaled("1h"),
    params:
        settings=settings("dataset"),
        code=code("make_shapes"),
    shell:
        """
        python -m pipeline make_shapes \
            --shard {wildcards.shard} \
            --settings {params.settings:q} \
            --out {output.videos:q} \
            --truth {output.truth:q} \
            >{log:q} 2>&1
        """


rule index_videos:
    """List the clips of one shard."""
    input:
        made=artifact("made", where="dataset.kind=shapes"),
    output:
        artifact("videos"),
    log:
        "logs/index_videos/{dataset}/{shard}.log",
    benchmark:
        "logs/index_videos/{dataset}/{shard}.tsv"
    priority: 1
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=scaled("1h"),
    params:
        kind=kind,
        source=source,
        mapping=mapping,
        form=form,
        shards=settings("dataset.shards"),
        listing=listing,
        code=code("index_videos"),
    shell:
        """
        python -m pipeline index_videos \
            --made {input.made:q} \
            --kind {params.kind} \
            --source {params.source:q} \
            --mapping {params.mapping:q} \
            --form {params.form:q} \
            --shard {wildcards.shard} \
            --shards {params.shards} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule index_captions:
    """Collect the captions and splits of a data set."""
    input:
        made=artifact("made", where="dataset.kind=shapes", shard="all"),
        videos=artifact("videos", shard="all"),
        annotations=annotations,
    output:
        artifact("captions"),
    log:
        "logs/index_captions/{dataset}.log",
    benchmark:
        "logs/index_captions/{dataset}.tsv"
    # A data set that lacks a split ends the run here, and not after the training.
    priority: 1
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=scaled("1h"),
    params:
        settings=settings("dataset", without=["labels"]),
        needed=needed,
        code=code("index_captions"),
    shell:
        """
        python -m pipeline index_captions \
            --made {input.made:q} \
            --videos {input.videos:q} \
            --settings {params.settings:q} \
            --needed {params.needed:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule check_dataset:
    """Count the videos, captions, labels and splits of a data set, and list what is missing."""
    input:
        videos=artifact("videos", shard="all"),
        captions=captions_to_check,
        labels=labels_to_check,
    output:
        counts=artifact("check"),
        table=artifact("check_table"),
    log:
        "logs/check_dataset/{dataset}.log",
    benchmark:
        "logs/check_dataset/{dataset}.tsv"
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=scaled("1h"),
    params:
        kind=kind,
        passed_over=passed_over,
        code=code("check_dataset"),
    shell:
        """
        python -m pipeline check_dataset \
            --name {wildcards.dataset} \
            --kind {params.kind} \
            --videos {input.videos:q} \
            --captions {input.captions:q} \
            --labels {input.labels:q} \
            --passed-over {params.passed_over:q} \
            --out {output.counts:q} \
            --table {output.table:q} \
            >{log:q} 2>&1
        """


rule decode_frames:
    """Sample frames of every clip by their true time stamps."""
    input:
        videos=artifact("videos"),
    output:
        artifact("frames"),
    log:
        "logs/decode_frames/{dataset}/{sampling}/{shard}.log",
    benchmark:
        "logs/decode_frames/{dataset}/{sampling}/{shard}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(3000),
        runtime=scaled("4h"),
    params:
        settings=settings("sampling"),
        code=code("decode_frames"),
    shell:
        """
        python -m pipeline decode_frames \
            --videos {input.videos:q} \
            --settings {params.settings:q} \
            --threads {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """

"""
Clips: every frame of the clips of a data set, for random access, and the generated data set SyncMNIST.

REQUIRED INPUTS   video tables (`index_videos`), or none (kind `sync_mnist`, which may name files of real digits)
OUTPUTS           results/datasets/{dataset}/clips/{clipping}/{shard}.zarr   (schema: clips)
                  results/datasets/{dataset}/made/{shard}/list.json, truth.json   (kind `sync_mnist`)
"""


rule decode_clips:
    """Keep every frame of every clip, each by itself."""
    input:
        videos=artifact("videos"),
    output:
        artifact("clips"),
    log:
        "logs/decode_clips/{dataset}/{clipping}/{shard}.log",
    benchmark:
        "logs/decode_clips/{dataset}/{clipping}/{shard}.tsv"
    wildcard_constraints:
        dataset=f"{names('datasets', having='videos')}|{names('datasets', kind='shapes')}",
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(3000),
        runtime=scaled("4h"),
    params:
        settings=settings("clipping"),
        code=code("decode_clips"),
    shell:
        """
        python -m pipeline decode_clips \
            --videos {input.videos:q} \
            --settings {params.settings:q} \
            --threads {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule make_sync_mnist:
    """Draw the classes and tracks of one shard of SyncMNIST."""
    input:
        glyphs=glyph_files,
    output:
        videos=artifact("made"),
        truth=artifact("truth"),
    log:
        "logs/make_sync_mnist/{dataset}/{shard}.log",
    benchmark:
        "logs/make_sync_mnist/{dataset}/{shard}.tsv"
    wildcard_constraints:
        dataset=names("datasets", kind="sync_mnist"),
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1500),
        runtime=scaled("1h"),
    params:
        settings=settings("dataset"),
        code=code("make_sync_mnist"),
    shell:
        """
        python -m pipeline make_sync_mnist \
            --shard {wildcards.shard} \
            --settings {params.settings:q} \
            --out {output.videos:q} \
            --truth {output.truth:q} \
            >{log:q} 2>&1
        """


rule draw_sync_mnist:
    """Draw the frames of one shard of SyncMNIST."""
    input:
        truth=artifact("truth"),
        glyphs=glyph_files,
    output:
        artifact("clips"),
    log:
        "logs/draw_sync_mnist/{dataset}/{clipping}/{shard}.log",
    benchmark:
        "logs/draw_sync_mnist/{dataset}/{clipping}/{shard}.tsv"
    wildcard_constraints:
        dataset=names("datasets", kind="sync_mnist"),
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled("1h"),
    params:
        settings=settings("dataset"),
        clipping=settings("clipping"),
        code=code("draw_sync_mnist"),
    shell:
        """
        python -m pipeline draw_sync_mnist \
            --truth {input.truth:q} \
            --settings {params.settings:q} \
            --clipping {params.clipping:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """

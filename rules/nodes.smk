"""
Nodes: the cells of a grid, or the objects, that may take part in an action.

REQUIRED INPUTS   frames, weights of an appearance encoder or of a detector
OUTPUTS           results/datasets/{dataset}/nodes/{nodes}/{shard}.zarr   (schema: nodes)
"""


rule build_grid_nodes:
    """Embed the overlapping cells of a grid over every sampled frame."""
    input:
        frames=artifact("frames", sampling="nodes.sampling"),
        weights=artifact("weights", encoder="nodes.encoder"),
    output:
        artifact("nodes"),
    log:
        "logs/build_grid_nodes/{dataset}/{nodes}/{shard}.log",
    benchmark:
        "logs/build_grid_nodes/{dataset}/{nodes}/{shard}.tsv"
    wildcard_constraints:
        nodes=names("nodes", kind="grid"),
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(4000),
        runtime=scaled("4h"),
        gpu=1,
    params:
        settings=settings("nodes"),
        encoder=settings("nodes.encoder"),
        code=code("build_grid_nodes"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} python -m pipeline build_grid_nodes \
            --frames {input.frames:q} \
            --weights {input.weights:q} \
            --settings {params.settings:q} \
            --encoder {params.encoder:q} \
            --threads {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule build_object_nodes:
    """Find the objects of every sampled frame and describe them."""
    input:
        frames=artifact("frames", sampling="nodes.sampling"),
        weights=artifact("weights", encoder="nodes.detector"),
        encoder_weights=artifact("weights", where="nodes.encoder", encoder="nodes.encoder"),
    output:
        artifact("nodes"),
    log:
        "logs/build_object_nodes/{dataset}/{nodes}/{shard}.log",
    benchmark:
        "logs/build_object_nodes/{dataset}/{nodes}/{shard}.tsv"
    wildcard_constraints:
        nodes=names("nodes", kind="object"),
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(6000),
        runtime=scaled("1d"),
        gpu=1,
    params:
        settings=settings("nodes"),
        detector=settings("nodes.detector"),
        encoder=settings("nodes.encoder"),
        code=code("build_object_nodes"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} python -m pipeline build_object_nodes \
            --frames {input.frames:q} \
            --weights {input.weights:q} \
            --encoder-weights {input.encoder_weights:q} \
            --settings {params.settings:q} \
            --detector {params.detector:q} \
            --encoder {params.encoder:q} \
            --threads {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """

"""
Nodes: where in a frame something can happen.

REQUIRED INPUTS   frames, weights of an appearance encoder
OUTPUTS           results/datasets/{dataset}/nodes/{nodes}/{shard}.zarr   (schema: nodes)
"""


rule build_grid_nodes:
    """Embed the overlapping cells of a grid over every frame."""
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
    threads: max(1, workflow.cores // 2)
    resources:
        mem_mb=4000,
        runtime="4h",
        gpu=1,
    params:
        settings=settings("nodes"),
        encoder=settings("nodes.encoder"),
        code=code("build_grid_nodes"),
    shell:
        """
        python -m pipeline.gpus {resources.gpu} python -m pipeline build_grid_nodes \
            --frames {input.frames:q} \
            --weights {input.weights:q} \
            --settings {params.settings:q} \
            --encoder {params.encoder:q} \
            --threads {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """

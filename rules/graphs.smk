"""
Graphs: which nodes of a frame, and of two frames in a row, belong together.

REQUIRED INPUTS   nodes, motion
OUTPUTS           results/datasets/{dataset}/spatial_graphs/{graph}/{shard}.zarr    (schema: spatial_graphs)
                  results/datasets/{dataset}/temporal_graphs/{graph}/{shard}.zarr   (schema: temporal_graphs)
                  results/datasets/{dataset}/graphs/{graph}/{shard}.zarr            (schema: graphs)
"""


rule build_spatial_graphs:
    """Connect the nodes of a frame."""
    input:
        nodes=artifact("nodes", nodes="graph.nodes"),
    output:
        artifact("spatial_graphs"),
    log:
        "logs/build_spatial_graphs/{dataset}/{graph}/{shard}.log",
    benchmark:
        "logs/build_spatial_graphs/{dataset}/{graph}/{shard}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime="1h",
    params:
        code=code("build_spatial_graphs"),
    shell:
        """
        python -m pipeline build_spatial_graphs \
            --nodes {input.nodes:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule build_temporal_graphs:
    """Connect the nodes of two frames in a row by how alike they look."""
    input:
        nodes=artifact("nodes", nodes="graph.nodes"),
    output:
        artifact("temporal_graphs"),
    log:
        "logs/build_temporal_graphs/{dataset}/{graph}/{shard}.log",
    benchmark:
        "logs/build_temporal_graphs/{dataset}/{graph}/{shard}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime="1h",
    params:
        code=code("build_temporal_graphs"),
    shell:
        """
        python -m pipeline build_temporal_graphs \
            --nodes {input.nodes:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule convert_graphs:
    """Join nodes, edges and motion into one graph a video."""
    input:
        nodes=artifact("nodes", nodes="graph.nodes"),
        motion=artifact("motion", encoder="graph.motion", sampling="graph.nodes.sampling"),
        spatial=artifact("spatial_graphs"),
        temporal=artifact("temporal_graphs"),
    output:
        artifact("graphs"),
    log:
        "logs/convert_graphs/{dataset}/{graph}/{shard}.log",
    benchmark:
        "logs/convert_graphs/{dataset}/{graph}/{shard}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime="1h",
    params:
        code=code("convert_graphs"),
    shell:
        """
        python -m pipeline convert_graphs \
            --nodes {input.nodes:q} \
            --motion {input.motion:q} \
            --spatial {input.spatial:q} \
            --temporal {input.temporal:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """

"""
Graphs: edges among the nodes of a frame and to those of the next frame, with the motion that they carry.

REQUIRED INPUTS   nodes, motion; frames, videos and weights for motion of pairs
OUTPUTS           results/datasets/{dataset}/spatial_graphs/{graph}/{shard}.zarr    (schema: spatial_graphs)
                  results/datasets/{dataset}/temporal_graphs/{graph}/{shard}.zarr   (schema: temporal_graphs)
                  results/datasets/{dataset}/graphs/{graph}/{shard}.zarr            (schema: graphs)
                  results/datasets/{dataset}/pair_motion/{graph}/{shard}.zarr       (schema: pair_motion)
"""


rule build_spatial_graphs:
    """Connect every node to every node of its frame."""
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
        mem_mb=scaled(1500),
        runtime=scaled("1h"),
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
    """Connect nodes to those of the next frame, weighted by how alike they look."""
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
        mem_mb=scaled(1500),
        runtime=scaled("1h"),
    params:
        settings=settings("graph.similarity"),
        code=code("build_temporal_graphs"),
    shell:
        """
        python -m pipeline build_temporal_graphs \
            --nodes {input.nodes:q} \
            --settings {params.settings:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """


# The network encodes some 36 boxes of every window, so a few decoders keep it busy. Each of them holds whole frames.
rule extract_union_motion:
    """Describe the motion in the box around the two nodes of every edge within a frame by I3D."""
    input:
        frames=artifact("frames", sampling="graph.nodes.sampling"),
        videos=artifact("videos"),
        nodes=artifact("nodes", nodes="graph.nodes"),
        spatial=artifact("spatial_graphs"),
        weights=artifact("weights", encoder="graph.motion"),
    output:
        artifact("pair_motion"),
    log:
        "logs/extract_union_motion/{dataset}/{graph}/{shard}.log",
    benchmark:
        "logs/extract_union_motion/{dataset}/{graph}/{shard}.tsv"
    wildcard_constraints:
        graph=names("graphs", motion_of="union_box"),
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(12000),
        runtime=scaled("3d"),
        gpu=1,
    params:
        settings=settings("graph.motion"),
        window=settings("graph.nodes.sampling.window"),
        time_limit=settings("graph.nodes.sampling.time_limit"),
        code=code("extract_union_motion"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} python -m pipeline extract_union_motion \
            --frames {input.frames:q} \
            --videos {input.videos:q} \
            --nodes {input.nodes:q} \
            --spatial {input.spatial:q} \
            --weights {input.weights:q} \
            --settings {params.settings:q} \
            --window {params.window} \
            --time-limit {params.time_limit} \
            --threads {threads} \
            --decoders $(({threads} < 4 ? {threads} : 4)) \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule convert_graphs:
    """Join nodes, edges and motion into one action graph for each video."""
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
        mem_mb=scaled(1500),
        runtime=scaled("1h"),
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

"""
Report: one self-contained page about every experiment.

REQUIRED INPUTS   scores, captions and curves of the experiments, and the artifacts they were made from
OUTPUTS           results/report/index.html
"""


rule write_report:
    """Write scores, curves, captioned clips, sizes, and what was left out."""
    input:
        scores=artifact("scores", each="experiment", split=["val", "test"]),
        captions=artifact("generated", each="experiment", split=["val", "test"]),
        curves=artifact("curves", each="experiment"),
        references=artifact("captions", each="experiment", dataset="experiment.dataset"),
        videos=artifact("videos", each="experiment", dataset="experiment.dataset", shard="all"),
        frames=artifact(
            "frames",
            each="experiment",
            dataset="experiment.dataset",
            sampling="experiment.graph.nodes.sampling",
            shard="all",
        ),
        motion=artifact(
            "motion",
            each="experiment",
            dataset="experiment.dataset",
            sampling="experiment.graph.nodes.sampling",
            encoder="experiment.graph.motion",
            shard="all",
        ),
        nodes=artifact(
            "nodes", each="experiment", dataset="experiment.dataset", nodes="experiment.graph.nodes", shard="all"
        ),
        spatial_graphs=artifact(
            "spatial_graphs", each="experiment", dataset="experiment.dataset", graph="experiment.graph", shard="all"
        ),
        temporal_graphs=artifact(
            "temporal_graphs", each="experiment", dataset="experiment.dataset", graph="experiment.graph", shard="all"
        ),
        graphs=artifact(
            "graphs", each="experiment", dataset="experiment.dataset", graph="experiment.graph", shard="all"
        ),
        motion_weights=artifact("weights", each="experiment", encoder="experiment.graph.motion"),
        appearance_weights=artifact("weights", each="experiment", encoder="experiment.graph.nodes.encoder"),
        retrieval=artifact(
            "retrieval",
            each="experiment",
            where="experiment.graph.nodes.encoder.finetune",
            encoder="experiment.graph.nodes.encoder",
        ),
    output:
        artifact("report"),
    log:
        "logs/write_report/report.log",
    benchmark:
        "logs/write_report/report.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime="1h",
    params:
        config=json.dumps(config, sort_keys=True),
        settings=json.dumps(config["report"], sort_keys=True),
        code=code("write_report", "report/report.html.j2"),
    shell:
        """
        python -m pipeline write_report \
            --scores {input.scores:q} \
            --captions {input.captions:q} \
            --curves {input.curves:q} \
            --references {input.references:q} \
            --videos {input.videos:q} \
            --artifacts {input.frames:q} {input.motion:q} {input.nodes:q} {input.spatial_graphs:q} \
            {input.temporal_graphs:q} {input.graphs:q} \
            --weights {input.motion_weights:q} {input.appearance_weights:q} \
            --retrieval {input.retrieval:q} \
            --config {params.config:q} \
            --settings {params.settings:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """

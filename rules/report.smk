"""
Report: one self-contained page about the experiments that `report` names.

REQUIRED INPUTS   scores, captions and curves of the experiments, and the artifacts they were made from
OUTPUTS           results/report/index.html
"""

# Routes to every encoder that an experiment stands on; null where nodes are the detector's own features, where there
# are no objects and where there is no knowledge.
TOWERS = ["experiment.graph.nodes.encoder", "experiment.objects.encoder", "experiment.knowledge.encoder"]
DETECTORS = ["experiment.graph.nodes.detector", "experiment.objects.detector"]


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
        objects=artifact(
            "nodes",
            each="experiment",
            where="experiment.objects",
            dataset="experiment.dataset",
            nodes="experiment.objects",
            shard="all",
        ),
        spatial_graphs=artifact(
            "spatial_graphs", each="experiment", dataset="experiment.dataset", graph="experiment.graph", shard="all"
        ),
        pair_motion=artifact(
            "pair_motion",
            each="experiment",
            where="experiment.graph.motion_of=union_box",
            dataset="experiment.dataset",
            graph="experiment.graph",
            shard="all",
        ),
        temporal_graphs=artifact(
            "temporal_graphs", each="experiment", dataset="experiment.dataset", graph="experiment.graph", shard="all"
        ),
        graphs=artifact(
            "graphs", each="experiment", dataset="experiment.dataset", graph="experiment.graph", shard="all"
        ),
        appearance=artifact(
            "appearance",
            each="experiment",
            where="experiment.knowledge",
            dataset="experiment.dataset",
            sampling="experiment.knowledge.sampling",
            encoder="experiment.knowledge.encoder",
            shard="all",
        ),
        knowledge=artifact(
            "knowledge",
            each="experiment",
            where="experiment.knowledge",
            dataset="experiment.dataset",
            knowledge="experiment.knowledge",
            shard="all",
        ),
        weights=of_encoders("weights", ["experiment.graph.motion", *TOWERS, *DETECTORS]),
        retrieval=of_encoders("retrieval", TOWERS, having=".finetune"),
        detection=of_encoders("detection", DETECTORS, having=".finetune"),
        embedding=artifact(
            "embedding_scores", each="experiment", where="experiment.knowledge", knowledge="experiment.knowledge"
        ),
        akg_scores=(artifact("akg_scores", each="experiment", split=["val", "test"]) if config["report"]["akg"] else []),
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
        mem_mb=scaled(3000),
        runtime=scaled("1h"),
    params:
        config=json.dumps(config, sort_keys=True),
        settings=json.dumps(config["report"], sort_keys=True),
        code=code("write_report", "report/report.html.j2"),
    shell:
        """
        python -m pipeline write_report \
            --scores {input.scores:q} \
            --akg-scores {input.akg_scores:q} \
            --captions {input.captions:q} \
            --curves {input.curves:q} \
            --references {input.references:q} \
            --videos {input.videos:q} \
            --artifacts {input.frames:q} {input.motion:q} {input.appearance:q} {input.nodes:q} {input.objects:q} \
            {input.spatial_graphs:q} {input.pair_motion:q} {input.temporal_graphs:q} {input.graphs:q} \
            {input.knowledge:q} \
            --weights {input.weights:q} \
            --retrieval {input.retrieval:q} \
            --detection {input.detection:q} \
            --embedding {input.embedding:q} \
            --config {params.config:q} \
            --settings {params.settings:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """

"""
Report: one self-contained page about the experiments that `report` names.

REQUIRED INPUTS   scores, captions, tables, regions and curves of the experiments, and the artifacts they were made from
OUTPUTS           results/report/index.html
"""

from functools import partial

of_each = partial(artifact, each="captioning experiment", dataset="experiment.dataset")
of_each_trial = partial(artifact, each="captioning trial")
of_each_scored = partial(of_each_trial, dataset="experiment.dataset", split="scored")
shards_of_each = partial(of_each, shard="all")

# The same of recognition experiments, whose clips are told apart by their clipping.
of_each_recognizer = partial(artifact, each="recognition routing experiment", dataset="experiment.dataset")
of_each_shown = partial(artifact, each="recognition routing trial", dataset="experiment.dataset", split="shown")

# Routes to the CLIP4Clip encoders, to the detectors and to I3D of an experiment, and to the experts of CAST, of
# which motion may be, too. They lead to null where nodes have the detector's own features, where there are no objects and
# where there is no knowledge.
TOWERS = {
    "captioning": [
        *("experiment.graph.nodes.encoder", "experiment.objects.encoder", "experiment.knowledge.encoder"),
        "experiment.graph.motion.experiment.recognizer.spatial",
    ],
    "recognition": ["experiment.recognizer.spatial"],
    "routing": ["experiment.selector.recognizer.spatial"],
}
DETECTORS = {"captioning": ["experiment.graph.nodes.detector", "experiment.objects.detector"]}
MOTION = {"captioning": ["experiment.graph.motion"]}
MASKED = {
    "captioning": ["experiment.graph.motion.experiment.recognizer.temporal"],
    "recognition": ["experiment.recognizer.temporal"],
    "routing": ["experiment.selector.recognizer.temporal"],
}
ENCODERS = {
    of: [route for routes in (MOTION, TOWERS, DETECTORS, MASKED) for route in routes.get(of, [])]
    for of in ("captioning", "recognition", "routing")
}


# Thousands of artifacts are more than a command can have: the shell writes their paths into a list, one a line.
rule write_report:
    """Write the report: scores, curves, captioned clips, sizes, and what was left out."""
    input:
        **captioner_inputs(experiment="experiment", dataset="experiment.dataset", each="captioning experiment"),
        scores=of_each_scored("scores"),
        captions=of_each_scored("generated"),
        curves=of_each_trial("curves"),
        references=of_each("captions"),
        videos=shards_of_each("videos"),
        frames=shards_of_each("frames", sampling="experiment.graph.nodes.sampling"),
        motion=shards_of_each("motion", sampling="experiment.graph.nodes.sampling", encoder="experiment.graph.motion"),
        nodes=shards_of_each("nodes", nodes="experiment.graph.nodes"),
        spatial_graphs=shards_of_each("spatial_graphs", graph="experiment.graph"),
        temporal_graphs=shards_of_each("temporal_graphs", graph="experiment.graph"),
        appearance=shards_of_each(
            "appearance",
            where="experiment.knowledge",
            sampling="experiment.knowledge.sampling",
            encoder="experiment.knowledge.encoder",
        ),
        weights=of_encoders("weights", ENCODERS, having=".weights"),
        retrieval=of_encoders("retrieval", TOWERS, having=".finetune"),
        detection=of_encoders("detection", DETECTORS, having=".finetune"),
        pretraining=of_encoders("pretraining", MASKED, having=".pretrain"),
        reconstructions=of_encoders("reconstructions", MASKED, having=".pretrain"),
        embedding=of_each("embedding_scores", where="experiment.knowledge", knowledge="experiment.knowledge"),
        recognized=artifact("scores", each="recognition routing trial", dataset="experiment.dataset", split="scored"),
        epic_scores=of_each_shown("epic_scores", where=IS_EPIC),
        per_video=of_each_shown("per_video"),
        per_class=of_each_shown("per_class"),
        recognizer_curves=artifact("curves", each="recognition trial"),
        labels=of_each_recognizer("labels"),
        clips=of_each_recognizer("clips", clipping="experiment.clipping", shard="all"),
        regions=of_each_shown("regions", where="experiment.recognizer.modules"),
        region_scores=of_each_shown("region_scores", where="experiment.recognizer.modules"),
        embeddings=shown_embeddings,
        akg_scores=(of_each_scored("akg_scores") if config["report"]["akg"] else []),
    output:
        report(artifact("report"), category="Report", labels={"page": "all experiments"}),
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
        artifacts=all_inputs,
        config=json.dumps(config, sort_keys=True),
        settings=json.dumps(config["report"], sort_keys=True),
        stages=lambda wildcards: stages_behind("report"),
        code=code("write_report", "report/report.html.j2", "report/recognition.html.j2"),
    shell:
        """
        python -m pipeline write_report \
            --artifacts <(printf '%s\\n' {params.artifacts}) \
            --config {params.config:q} \
            --settings {params.settings:q} \
            --stages {params.stages:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """

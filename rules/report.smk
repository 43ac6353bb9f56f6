"""
Report: a folder with a page about the experiments that `report` names.

REQUIRED INPUTS   scores, captions, tables, regions and curves of the experiments, and the artifacts they were made from
OUTPUTS           results/report/index.html, and what the page loads beside it
"""

from functools import partial

# Experiments that learn captions, and of these the ones that learn them from graphs.
of_each_trial = partial(artifact, each=" ".join([*CAPTIONING, "trial"]))
of_each_graph = partial(artifact, each="captioning experiment", dataset="experiment.dataset", shard="all")

# All experiments whose captions are scored, other systems among them.
of_each_captioned = partial(artifact, each=" ".join([*CAPTIONED, "experiment"]), dataset="experiment.dataset")
of_each_scored = partial(artifact, each=" ".join([*CAPTIONED, "trial"]), dataset="experiment.dataset", split="scored")

# Recognition experiments, whose clips are told apart by their clipping.
of_each_recognizer = partial(artifact, each="recognition routing experiment", dataset="experiment.dataset")
of_each_shown = partial(artifact, each="recognition routing trial", dataset="experiment.dataset", split="shown")

# Routes to the CLIP4Clip encoders, to the detectors and to I3D of an experiment, and to the experts of CAST, of
# which motion and maps may be, too. They lead to null where nodes have the detector's own features, where there are no
# objects and where there is no knowledge.
TOWERS = {
    "captioning": [
        *("experiment.graph.nodes.encoder", "experiment.objects.encoder", "experiment.knowledge.encoder"),
        "experiment.graph.motion.experiment.recognizer.spatial",
    ],
    "map_captioning": ["experiment.maps.encoder.experiment.recognizer.spatial"],
    "recognition": ["experiment.recognizer.spatial"],
    "routing": ["experiment.selector.recognizer.spatial"],
}
DETECTORS = {"captioning": ["experiment.graph.nodes.detector", "experiment.objects.detector"]}
MOTION = {"captioning": ["experiment.graph.motion"], "map_captioning": ["experiment.maps.encoder"]}
MASKED = {
    "captioning": ["experiment.graph.motion.experiment.recognizer.temporal"],
    "map_captioning": ["experiment.maps.encoder.experiment.recognizer.temporal"],
    "recognition": ["experiment.recognizer.temporal"],
    "routing": ["experiment.selector.recognizer.temporal"],
}
ENCODERS = {
    of: [route for routes in (MOTION, TOWERS, DETECTORS, MASKED) for route in routes.get(of, [])]
    for of in ("captioning", "map_captioning", "recognition", "routing")
}


# What the page is filled in from, and what is copied beside it.
PAGE_FILES = [
    *(f"report/{path.name}" for path in sorted((PACKAGE / "report").glob("*.html.j2")) if not path.match("gallery*")),
    *(f"report/page/{path.name}" for path in sorted((PACKAGE / "report/page").glob("*.js"))),
    *(f"report/vendor/{path.name}" for path in sorted((PACKAGE / "report/vendor").iterdir())),
    "report/page.css",
]


# Thousands of artifacts are more than a command can have: the shell writes their paths into a list, one a line.
rule write_report:
    """Write the report: scores, curves, captioned clips, sizes, and what was left out."""
    input:
        **captioner_inputs(experiment="experiment", dataset="experiment.dataset", each="captioning experiment"),
        maps=map_inputs(experiment="experiment", dataset="experiment.dataset", each="map_captioning experiment"),
        scores=of_each_scored("scores"),
        captions=of_each_scored("generated"),
        curves=of_each_trial("curves"),
        bounds=of_each_captioned("bounds", split="shown"),
        references=of_each_captioned("captions"),
        videos=of_each_captioned("videos", shard="all"),
        frames=of_each_graph("frames", sampling="experiment.graph.nodes.sampling"),
        map_frames=artifact(
            "frames",
            each="map_captioning experiment",
            dataset="experiment.dataset",
            shard="all",
            sampling="experiment.maps.sampling",
        ),
        motion=of_each_graph("motion", sampling="experiment.graph.nodes.sampling", encoder="experiment.graph.motion"),
        nodes=of_each_graph("nodes", nodes="experiment.graph.nodes"),
        spatial_graphs=of_each_graph("spatial_graphs", graph="experiment.graph"),
        temporal_graphs=of_each_graph("temporal_graphs", graph="experiment.graph"),
        appearance=of_each_graph(
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
        embedding=of_each_graph("embedding_scores", where="experiment.knowledge", knowledge="experiment.knowledge"),
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
        relevance=artifact("relevance", each="explanation"),
        faithfulness=artifact("faithfulness", each="explanation"),
        vocabulary=artifact("vocabulary", each="explanation", vocabulary="explanation.experiment.vocabulary"),
        clip_scores=(
            of_each_scored("clip_scores", **config["report"]["clip_scores"]) if config["report"]["clip_scores"] else []
        ),
        akg_scores=(
            of_each_trial("akg_scores", dataset="experiment.dataset", split="scored")
            if config["report"]["akg"]
            else []
        ),
    output:
        report(
            artifact("report"),
            category="Report",
            caption="captions/page.rst",
            labels={"page": "all experiments"},
        ),
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
        logs="logs",
        code=code("write_report", *PAGE_FILES),
    shell:
        """
        python -m pipeline write_report \
            --artifacts <(printf '%s\\n' {params.artifacts}) \
            --config {params.config:q} \
            --settings {params.settings:q} \
            --stages {params.stages:q} \
            --logs {params.logs:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """

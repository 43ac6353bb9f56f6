"""
Explanations: for each word of a caption, which regions of the video it was said for, and how faithful that is.

REQUIRED INPUTS   maps or graphs, model and captions of an experiment; nodes of graphs; truth of generated videos
OUTPUTS           results/explanations/{explanation}/relevance.zarr, faithfulness.json, overlays/index.json
"""

# Of the explanations that the report names.
explanation_results = [artifact(kind, each="explanation") for kind in ("relevance", "faithfulness", "overlays")]


rule explain_maps:
    """Compute which cells of the maps each word of an LSTM captioner's captions was said for."""
    input:
        maps=of_explained("maps", maps="explanation.experiment.maps", shard="all"),
        captions=of_explained("generated"),
        model=of_explained("model"),
    output:
        artifact("relevance"),
    log:
        "logs/explain_maps/{explanation}.log",
    benchmark:
        "logs/explain_maps/{explanation}.tsv"
    wildcard_constraints:
        explanation=explanations_of("map_captioning"),
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(4000),
        runtime=scaled("4h"),
        gpu=1,
    params:
        settings=settings("explanation", without=["experiment", "split", "overlays"]),
        code=code("explain_maps"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} python -m pipeline explain_maps \
            --maps {input.maps:q} \
            --captions {input.captions:q} \
            --model {input.model:q} \
            --settings {params.settings:q} \
            --threads {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule explain_graphs:
    """Compute which nodes and edges of the graph each word of a captioner's captions was said for."""
    input:
        **captioner_inputs(experiment="explanation.experiment", dataset="explanation.experiment.dataset"),
        nodes=of_explained("nodes", nodes="explanation.experiment.graph.nodes", shard="all"),
        captions=of_explained("generated"),
        model=of_explained("model"),
    output:
        artifact("relevance"),
    log:
        "logs/explain_graphs/{explanation}.log",
    benchmark:
        "logs/explain_graphs/{explanation}.tsv"
    wildcard_constraints:
        explanation=explanations_of("captioning"),
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(8000),
        runtime=scaled("8h"),
        gpu=1,
    params:
        settings=settings("explanation", without=["experiment", "split", "overlays"]),
        code=code("explain_graphs"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} python -m pipeline explain_graphs \
            --graphs {input.graphs:q} \
            --pair-motion {input.pair_motion:q} \
            --knowledge {input.knowledge:q} \
            --objects {input.objects:q} \
            --nodes {input.nodes:q} \
            --captions {input.captions:q} \
            --model {input.model:q} \
            --settings {params.settings:q} \
            --threads {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule score_relevance:
    """Score how faithful an explanation is, and how near the objects of generated videos."""
    input:
        relevance=artifact("relevance"),
        captions=of_explained("generated"),
        truth=of_explained("truth", where="explanation.experiment.dataset.kind=shapes", shard="all"),
    output:
        artifact("faithfulness"),
    log:
        "logs/score_relevance/{explanation}.log",
    benchmark:
        "logs/score_relevance/{explanation}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled("1h"),
    params:
        experiment=lambda wildcards: walk("explanation.experiment", wildcards),
        kind=lambda wildcards: walk("explanation.experiment.kind", wildcards),
        method=lambda wildcards: walk("explanation.method", wildcards),
        code=code("score_relevance"),
    shell:
        """
        python -m pipeline score_relevance \
            --relevance {input.relevance:q} \
            --captions {input.captions:q} \
            --truth {input.truth:q} \
            --explanation {wildcards.explanation} \
            --experiment {params.experiment:q} \
            --kind {params.kind} \
            --method {params.method:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule render_maps:
    """Draw what words were said for: strips of frames and films under coloured relevance."""
    input:
        relevance=artifact("relevance"),
        captions=of_explained("generated"),
        videos=of_explained("videos", shard="all"),
    output:
        artifact("overlays"),
    log:
        "logs/render_maps/{explanation}.log",
    benchmark:
        "logs/render_maps/{explanation}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled("1h"),
    params:
        overlays=lambda wildcards: str(walk("explanation.overlays", wildcards)),
        code=code("render_maps"),
    shell:
        """
        python -m pipeline render_maps \
            --relevance {input.relevance:q} \
            --captions {input.captions:q} \
            --videos {input.videos:q} \
            --overlays {params.overlays:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """

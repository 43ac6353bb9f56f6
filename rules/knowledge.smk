"""
Knowledge: entities and relations from the training captions, and those that a video is linked to.

REQUIRED INPUTS   captions, frames, weights of an appearance encoder; CoreNLP's file where the config names one
OUTPUTS           results/knowledge/{knowledge}/triplets.json, embedding.safetensors and scores.json
                  results/datasets/{dataset}/appearance/{sampling}/{encoder}/{shard}.zarr   (schema: appearance)
                  results/datasets/{dataset}/knowledge/{knowledge}/{shard}.zarr             (schema: knowledge)
"""


rule extract_triplets:
    """Find who does what to whom in the training captions."""
    input:
        captions=artifact("captions", dataset="knowledge.dataset"),
        openie=own_file("knowledge.triplets.openie_file"),
    output:
        artifact("triplets"),
    log:
        "logs/extract_triplets/{knowledge}.log",
    benchmark:
        "logs/extract_triplets/{knowledge}.tsv"
    conda:
        "../envs/knowledge.yaml"
    threads: 1
    resources:
        mem_mb=scaled(3000),
        runtime=scaled("4h"),
    params:
        settings=settings("knowledge.triplets"),
        code=code("extract_triplets"),
    shell:
        """
        python -m pipeline extract_triplets \
            --captions {input.captions:q} \
            --settings {params.settings:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule embed_knowledge:
    """Embed the entities and relations by their words and by their triplets."""
    input:
        triplets=artifact("triplets"),
        weights=artifact("weights", encoder="knowledge.encoder"),
    output:
        embedding=artifact("embedding"),
        scores=artifact("embedding_scores"),
    log:
        "logs/embed_knowledge/{knowledge}.log",
    benchmark:
        "logs/embed_knowledge/{knowledge}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(4000),
        runtime=scaled("4h"),
    params:
        settings=settings("knowledge.embedding"),
        encoder=settings("knowledge.encoder"),
        code=code("embed_knowledge"),
    shell:
        """
        python -m pipeline embed_knowledge \
            --triplets {input.triplets:q} \
            --weights {input.weights:q} \
            --settings {params.settings:q} \
            --encoder {params.encoder:q} \
            --threads {threads} \
            --out {output.embedding:q} \
            --scores {output.scores:q} \
            >{log:q} 2>&1
        """


rule extract_clip:
    """Embed every sampled frame by CLIP4Clip, for linking videos to knowledge."""
    input:
        frames=artifact("frames"),
        weights=artifact("weights"),
    output:
        artifact("appearance"),
    log:
        "logs/extract_clip/{dataset}/{sampling}/{encoder}/{shard}.log",
    benchmark:
        "logs/extract_clip/{dataset}/{sampling}/{encoder}/{shard}.tsv"
    wildcard_constraints:
        encoder=names("encoders", kind="clip4clip"),
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(4000),
        runtime=scaled("4h"),
        gpu=1,
    params:
        settings=settings("encoder"),
        code=code("extract_clip"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} python -m pipeline extract_clip \
            --frames {input.frames:q} \
            --weights {input.weights:q} \
            --settings {params.settings:q} \
            --threads {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule link_knowledge:
    """Link every video to the entities that it looks like, and to the relations among them."""
    input:
        appearance=artifact("appearance", sampling="knowledge.sampling", encoder="knowledge.encoder"),
        embedding=artifact("embedding"),
        triplets=artifact("triplets"),
    output:
        artifact("knowledge"),
    log:
        "logs/link_knowledge/{dataset}/{knowledge}/{shard}.log",
    benchmark:
        "logs/link_knowledge/{dataset}/{knowledge}/{shard}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1500),
        runtime=scaled("1h"),
    params:
        settings=settings("knowledge.linking"),
        code=code("link_knowledge"),
    shell:
        """
        python -m pipeline link_knowledge \
            --appearance {input.appearance:q} \
            --embedding {input.embedding:q} \
            --triplets {input.triplets:q} \
            --settings {params.settings:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """

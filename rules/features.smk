"""
Features: weights of the encoders, and the motion around every sampled frame.

REQUIRED INPUTS   frames, videos; published weights where the config names a file or a URL
                  clips, labels or captions of a data set that VideoMAE is pre-trained on
OUTPUTS           results/encoders/{encoder}/weights.safetensors (and of a trained one retrieval.json, detection.json, or
                  pretraining.json and reconstructions.png)
                  results/datasets/{dataset}/motion/{sampling}/{encoder}/{shard}.zarr   (schema: motion)
                  results/datasets/{dataset}/maps/{maps}/{shard}.zarr   (schema: maps; by I3D or a trained recognizer)
"""


rule import_weights:
    """Bring published weights, fetched if they are named by URL, into one form, or draw random ones."""
    input:
        videos=artifact("videos", where="encoder.calibrate_on", dataset="encoder.calibrate_on", shard="all"),
        captions=artifact("captions", where="encoder.calibrate_on", dataset="encoder.calibrate_on"),
        weights=own_file("encoder.weights"),
    output:
        artifact("weights"),
    log:
        "logs/import_weights/{encoder}.log",
    benchmark:
        "logs/import_weights/{encoder}.tsv"
    wildcard_constraints:
        encoder=names("encoders", having="weights", lacking=["finetune", "pretrain"]),
    conda:
        "../envs/pipeline.yaml"
    threads: 8
    resources:
        mem_mb=scaled(4000),
        runtime=scaled("1h"),
    params:
        settings=settings("encoder"),
        code=code("import_weights"),
    shell:
        """
        python -m pipeline import_weights \
            --videos {input.videos:q} \
            --captions {input.captions:q} \
            --settings {params.settings:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule finetune_clip4clip:
    """Fine-tune CLIP4Clip for text-video retrieval on a training split."""
    input:
        frames=artifact("frames", dataset="encoder.finetune.dataset", sampling="encoder.finetune.sampling", shard="all"),
        captions=artifact("captions", dataset="encoder.finetune.dataset"),
        weights=own_file("encoder.weights"),
    output:
        weights=artifact("weights"),
        retrieval=artifact("retrieval"),
    log:
        "logs/finetune_clip4clip/{encoder}.log",
    benchmark:
        "logs/finetune_clip4clip/{encoder}.tsv"
    wildcard_constraints:
        encoder=names("encoders", kind="clip4clip", having="finetune"),
    conda:
        "../envs/pipeline.yaml"
    threads: 8
    resources:
        mem_mb=scaled(16000),
        runtime=scaled("1d"),
        gpu=1,
    params:
        settings=settings("encoder"),
        code=code("finetune_clip4clip"),
    shell:
        with_checkpoints("""
        python -m pipeline.jobs.gpus {resources.gpu} \
            python -m pipeline.jobs.ranks {resources.gpu} -m pipeline finetune_clip4clip \
            --frames {input.frames:q} \
            --captions {input.captions:q} \
            --checkpoints checkpoints/encoders/{wildcards.encoder} \
            --settings {params.settings:q} \
            --threads {threads} \
            --out {output.weights:q} \
            --retrieval {output.retrieval:q} \
            >{log:q} 2>&1
        """)


rule finetune_detector:
    """Train a detector on the boxes of generated videos of the training split."""
    input:
        frames=artifact("frames", dataset="encoder.finetune.dataset", sampling="encoder.finetune.sampling", shard="all"),
        truth=artifact("truth", dataset="encoder.finetune.dataset", shard="all"),
        captions=artifact("captions", dataset="encoder.finetune.dataset"),
        weights=own_file("encoder.weights"),
    output:
        weights=artifact("weights"),
        detection=artifact("detection"),
    log:
        "logs/finetune_detector/{encoder}.log",
    benchmark:
        "logs/finetune_detector/{encoder}.tsv"
    wildcard_constraints:
        encoder=names("encoders", kind="detector", having="finetune"),
    conda:
        "../envs/pipeline.yaml"
    threads: 8
    resources:
        mem_mb=scaled(8000),
        runtime=scaled("1d"),
        gpu=1,
    params:
        settings=settings("encoder"),
        code=code("finetune_detector"),
    shell:
        with_checkpoints("""
        python -m pipeline.jobs.gpus {resources.gpu} python -m pipeline finetune_detector \
            --frames {input.frames:q} \
            --truth {input.truth:q} \
            --captions {input.captions:q} \
            --checkpoints checkpoints/encoders/{wildcards.encoder} \
            --settings {params.settings:q} \
            --threads {threads} \
            --out {output.weights:q} \
            --detection {output.detection:q} \
            >{log:q} 2>&1
        """)


# For more GPUs call with `--resources gpu=4 --set-resources pretrain_videomae:gpu=4`. Without any GPU the training is
# one process on the CPU.
rule pretrain_videomae:
    """Pre-train VideoMAE's encoder on the training clips of a data set, by telling what is hidden of them."""
    input:
        clips=artifact("clips", dataset="encoder.pretrain.dataset", clipping="encoder.pretrain.clipping", shard="all"),
        labels=table_of_splits("labels", "encoder.pretrain.dataset"),
        captions=table_of_splits("captions", "encoder.pretrain.dataset"),
        weights=own_file("encoder.weights"),
    output:
        weights=artifact("weights"),
        pretraining=artifact("pretraining"),
        reconstructions=report(
            artifact("reconstructions"),
            category="Pre-training",
            caption="captions/reconstructions.rst",
            labels={"encoder": "{encoder}"},
        ),
    log:
        "logs/pretrain_videomae/{encoder}.log",
    benchmark:
        "logs/pretrain_videomae/{encoder}.tsv"
    wildcard_constraints:
        encoder=names("encoders", kind="videomae", having="pretrain"),
    conda:
        "../envs/pipeline.yaml"
    threads: 8
    resources:
        mem_mb=scaled(16000),
        runtime=scaled("2d"),
        gpu=1,
    params:
        settings=settings("encoder"),
        code=code("pretrain_videomae"),
    shell:
        with_checkpoints("""
        python -m pipeline.jobs.gpus {resources.gpu} \
            python -m pipeline.jobs.ranks {resources.gpu} -m pipeline pretrain_videomae \
            --clips {input.clips:q} \
            --labels {input.labels:q} \
            --captions {input.captions:q} \
            --checkpoints checkpoints/encoders/{wildcards.encoder} \
            --settings {params.settings:q} \
            --threads {threads} \
            --out {output.weights:q} \
            --pretraining {output.pretraining:q} \
            --reconstructions {output.reconstructions:q} \
            >{log:q} 2>&1
        """)


rule extract_i3d:
    """Describe the motion in the window of frames around every sampled frame by I3D."""
    input:
        frames=artifact("frames"),
        videos=artifact("videos"),
        weights=artifact("weights"),
    output:
        artifact("motion"),
    log:
        "logs/extract_i3d/{dataset}/{sampling}/{encoder}/{shard}.log",
    benchmark:
        "logs/extract_i3d/{dataset}/{sampling}/{encoder}/{shard}.tsv"
    wildcard_constraints:
        encoder=names("encoders", kind="i3d"),
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(6000),
        runtime=scaled("1d"),
        gpu=1,
    params:
        settings=settings("encoder"),
        window=settings("sampling.window"),
        time_limit=settings("sampling.time_limit"),
        code=code("extract_i3d"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} python -m pipeline extract_i3d \
            --frames {input.frames:q} \
            --videos {input.videos:q} \
            --weights {input.weights:q} \
            --settings {params.settings:q} \
            --window {params.window} \
            --time-limit {params.time_limit} \
            --threads {threads} \
            --decoders {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule extract_cast:
    """Describe the motion in the window of frames around every sampled frame by a trained CAST."""
    input:
        frames=artifact("frames"),
        videos=artifact("videos"),
        model=artifact("model", trial="encoder.experiment"),
        experts=motion_experts,
    output:
        artifact("motion"),
    log:
        "logs/extract_cast/{dataset}/{sampling}/{encoder}/{shard}.log",
    benchmark:
        "logs/extract_cast/{dataset}/{sampling}/{encoder}/{shard}.tsv"
    wildcard_constraints:
        encoder=names("encoders", kind="cast"),
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(8000),
        runtime=scaled("1d"),
        gpu=1,
    params:
        window=settings("sampling.window"),
        time_limit=settings("sampling.time_limit"),
        code=code("extract_cast"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} python -m pipeline extract_cast \
            --frames {input.frames:q} \
            --videos {input.videos:q} \
            --model {input.model:q} \
            --experts {input.experts:q} \
            --window {params.window} \
            --time-limit {params.time_limit} \
            --threads {threads} \
            --decoders {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule extract_maps:
    """Keep what an encoder makes of the windows around the sampled frames before it pools, resized to one size."""
    input:
        frames=artifact("frames", sampling="maps.sampling"),
        videos=artifact("videos"),
        weights=map_weights,
        experts=map_experts,
    output:
        artifact("maps"),
    log:
        "logs/extract_maps/{dataset}/{maps}/{shard}.log",
    benchmark:
        "logs/extract_maps/{dataset}/{maps}/{shard}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(8000),
        runtime=scaled("1d"),
        gpu=1,
    params:
        settings=settings("maps"),
        encoder=settings("maps.encoder"),
        window=settings("maps.sampling.window"),
        time_limit=settings("maps.sampling.time_limit"),
        code=code("extract_maps"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} python -m pipeline extract_maps \
            --frames {input.frames:q} \
            --videos {input.videos:q} \
            --weights {input.weights:q} \
            --experts {input.experts:q} \
            --settings {params.settings:q} \
            --encoder {params.encoder:q} \
            --window {params.window} \
            --time-limit {params.time_limit} \
            --threads {threads} \
            --decoders {threads} \
            --out {output:q} \
            >{log:q} 2>&1
        """

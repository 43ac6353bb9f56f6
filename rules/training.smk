"""
Training: the vocabulary, and captioners of graphs or of maps.

REQUIRED INPUTS   captions; graphs, and pair_motion, knowledge and nodes of objects where the experiment has them; or maps
OUTPUTS           results/vocabularies/{vocabulary}.json
                  results/experiments/{trial}/model.safetensors and curves.csv
                  checkpoints/ (not declared; an interrupted training goes on from there)
"""


rule build_vocabulary:
    """Collect the words of the training captions."""
    input:
        captions=artifact("captions", dataset="vocabulary.dataset"),
    output:
        artifact("vocabulary"),
    log:
        "logs/build_vocabulary/{vocabulary}.log",
    benchmark:
        "logs/build_vocabulary/{vocabulary}.tsv"
    # Captions that cannot be split into words end the run here, and not after the encoders.
    priority: 1
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1500),
        runtime=scaled("1h"),
    params:
        settings=settings("vocabulary"),
        code=code("build_vocabulary"),
    shell:
        """
        python -m pipeline build_vocabulary \
            --captions {input.captions:q} \
            --settings {params.settings:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """


# For more GPUs call with `--resources gpu=4 --set-resources train_captioner:gpu=4`. Without any GPU the training is one
# process on the CPU.
rule train_captioner:
    """Train the captioner of one experiment with one of its seeds."""
    input:
        **captioner_inputs(experiment="experiment", dataset="experiment.dataset"),
        captions=artifact("captions", dataset="experiment.dataset"),
        vocabulary=artifact("vocabulary", vocabulary="experiment.vocabulary"),
    output:
        model=artifact("model"),
        curves=report(
            artifact("curves"),
            category="Training curves",
            caption="captions/curves.rst",
            labels={"experiment": "{trial}"},
        ),
    log:
        "logs/train_captioner/{trial}.log",
    benchmark:
        "logs/train_captioner/{trial}.tsv"
    wildcard_constraints:
        trial=trial_names(kind="captioning"),
    conda:
        "../envs/pipeline.yaml"
    threads: 8
    resources:
        mem_mb=scaled(16000),
        runtime=scaled("2d"),
        gpu=1,
    params:
        model=settings("experiment.captioner.model"),
        training=settings("experiment.captioner.training"),
        nodes=settings("experiment.graph.nodes"),
        seed=seed,
        code=code("train_captioner"),
    shell:
        with_checkpoints("""
        python -m pipeline.jobs.gpus {resources.gpu} \
            python -m pipeline.jobs.ranks {resources.gpu} -m pipeline train_captioner \
            --graphs {input.graphs:q} \
            --pair-motion {input.pair_motion:q} \
            --knowledge {input.knowledge:q} \
            --objects {input.objects:q} \
            --captions {input.captions:q} \
            --vocabulary {input.vocabulary:q} \
            --model {params.model:q} \
            --training {params.training:q} \
            --nodes {params.nodes:q} \
            --seed {params.seed} \
            --threads {threads} \
            --checkpoints checkpoints/{wildcards.trial} \
            --out {output.model:q} \
            --curves {output.curves:q} \
            >{log:q} 2>&1
        """)


rule train_lstm:
    """Train the LSTM captioner of one experiment with one of its seeds."""
    input:
        maps=map_inputs(experiment="experiment", dataset="experiment.dataset"),
        captions=artifact("captions", dataset="experiment.dataset"),
        vocabulary=artifact("vocabulary", vocabulary="experiment.vocabulary"),
    output:
        model=artifact("model"),
        curves=report(
            artifact("curves"),
            category="Training curves",
            caption="captions/curves.rst",
            labels={"experiment": "{trial}"},
        ),
    log:
        "logs/train_lstm/{trial}.log",
    benchmark:
        "logs/train_lstm/{trial}.tsv"
    wildcard_constraints:
        trial=trial_names(kind="map_captioning"),
    conda:
        "../envs/pipeline.yaml"
    threads: 8
    resources:
        mem_mb=scaled(16000),
        runtime=scaled("2d"),
        gpu=1,
    params:
        model=settings("experiment.captioner.model"),
        training=settings("experiment.captioner.training"),
        seed=seed,
        code=code("train_lstm"),
    shell:
        with_checkpoints("""
        python -m pipeline.jobs.gpus {resources.gpu} \
            python -m pipeline.jobs.ranks {resources.gpu} -m pipeline train_lstm \
            --maps {input.maps:q} \
            --captions {input.captions:q} \
            --vocabulary {input.vocabulary:q} \
            --model {params.model:q} \
            --training {params.training:q} \
            --seed {params.seed} \
            --threads {threads} \
            --checkpoints checkpoints/{wildcards.trial} \
            --out {output.model:q} \
            --curves {output.curves:q} \
            >{log:q} 2>&1
        """)

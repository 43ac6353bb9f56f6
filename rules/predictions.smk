"""
Predictions: captions of videos without references, and the settings by which more can be captioned by hand.

REQUIRED INPUTS   graphs (and pair_motion, knowledge, nodes where the experiment has them) or maps, videos, model; for
                  the gallery test captions, too, and, of experiments with graphs, graphs and captions of the data set
                  that the experiment learned from
OUTPUTS           results/experiments/{experiment}/settings.json
                  results/predictions/{prediction}/captions.json, captions.csv and index.html
"""


rule describe_experiment:
    """Write down what an experiment stands on, so that `python -m pipeline caption` needs no config.yaml."""
    output:
        artifact("settings"),
    log:
        "logs/describe_experiment/{experiment}.log",
    benchmark:
        "logs/describe_experiment/{experiment}.tsv"
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(500),
        runtime=scaled("10m"),
    params:
        settings=experiment_chain,
        code=code("describe_experiment"),
    shell:
        """
        python -m pipeline describe_experiment \
            --settings {params.settings:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """


rule caption_videos:
    """Caption every video of a data set by the captioner of an experiment."""
    input:
        **captioner_inputs(experiment="prediction.experiment", dataset="prediction.dataset"),
        maps=map_inputs(experiment="prediction.experiment", dataset="prediction.dataset"),
        videos=artifact("videos", dataset="prediction.dataset", shard="all"),
        model=artifact("model", trial="prediction.experiment"),
    output:
        captions=artifact("predicted"),
        table=artifact("predicted_table"),
    log:
        "logs/caption_videos/{prediction}.log",
    benchmark:
        "logs/caption_videos/{prediction}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: SOME_THREADS
    resources:
        mem_mb=scaled(4000),
        runtime=scaled("4h"),
        gpu=1,
    params:
        experiment=lambda wildcards: walk("prediction.experiment", wildcards),
        settings=settings("prediction.experiment.captioner.decoding"),
        code=code("caption_videos"),
    shell:
        """
        python -m pipeline.jobs.gpus {resources.gpu} python -m pipeline caption_videos \
            --graphs {input.graphs:q} \
            --pair-motion {input.pair_motion:q} \
            --knowledge {input.knowledge:q} \
            --objects {input.objects:q} \
            --maps {input.maps:q} \
            --videos {input.videos:q} \
            --model {input.model:q} \
            --experiment {params.experiment:q} \
            --settings {params.settings:q} \
            --threads {threads} \
            --out {output.captions:q} \
            --table {output.table:q} \
            >{log:q} 2>&1
        """


rule write_gallery:
    """Write one page that shows the captioned videos."""
    input:
        captions=artifact("predicted"),
        videos=artifact("videos", dataset="prediction.dataset", shard="all"),
        graphs=artifact(
            "graphs",
            where="prediction.experiment.graph",
            dataset="prediction.dataset",
            graph="prediction.experiment.graph",
            shard="all",
        ),
        tested=if_tested("generated", trial="prediction.experiment", split="test"),
        trained_graphs=if_tested(
            "graphs",
            where="prediction.experiment.graph",
            dataset="prediction.experiment.dataset",
            graph="prediction.experiment.graph",
            shard="all",
        ),
        references=if_tested("captions", dataset="prediction.experiment.dataset"),
    output:
        report(
            artifact("gallery"),
            category="Predictions",
            caption="captions/gallery.rst",
            labels={"prediction": "{prediction}"},
        ),
    log:
        "logs/write_gallery/{prediction}.log",
    benchmark:
        "logs/write_gallery/{prediction}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1500),
        runtime=scaled("1h"),
    params:
        code=code("write_gallery", "report/gallery.html.j2", "report/gallery_style.html.j2"),
    shell:
        """
        python -m pipeline write_gallery \
            --captions {input.captions:q} \
            --videos {input.videos:q} \
            --graphs {input.graphs:q} \
            --tested {input.tested:q} \
            --trained-graphs {input.trained_graphs:q} \
            --references {input.references:q} \
            --out {output:q} \
            >{log:q} 2>&1
        """

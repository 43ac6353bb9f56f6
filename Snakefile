"""
Clipgraph: raw videos to captions through action graphs.

    snakemake --cores 8 --resources gpu=2                             everything in config.yaml
    snakemake --quiet all check_data                                  what its data sets hold: videos, captions, splits
    snakemake results/datasets/shapes/nodes/grid/001.zarr/zarr.json   one shard of one stage, and what it needs
"""

from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from pipeline.config import validate
from pipeline.config.plain import require_no_template
from pipeline.errors import PipelineError

min_version("9.27")


try:
    # Snakemake has read the overlays before this line: to it they are code, as a profile is.
    require_no_template("config.yaml", *workflow.overwrite_configfiles)
except PipelineError as error:
    raise WorkflowError(str(error)) from None


configfile: "config.yaml"


try:
    config = validate(config).model_dump(mode="json")
except PipelineError as error:
    raise WorkflowError(str(error)) from None


include: "rules/common.smk"


onstart:
    check_gpus()


wildcard_constraints:
    shard=CONSTRAINTS["shard"],
    split=CONSTRAINTS["split"],
    trial=trial_names(),
    dataset=names("datasets"),
    sampling=names("samplings"),
    encoder=names("encoders"),
    nodes=names("nodes"),
    graph=names("graphs"),
    knowledge=names("knowledge"),
    vocabulary=names("vocabularies"),
    experiment=names("experiments"),
    prediction=names("predictions"),


include: "rules/videos.smk"
include: "rules/features.smk"
include: "rules/nodes.smk"
include: "rules/graphs.smk"
include: "rules/knowledge.smk"
include: "rules/training.smk"
include: "rules/evaluation.smk"
include: "rules/predictions.smk"
include: "rules/report.smk"


# Schedulers send SIGTERM to all processes of a job. The shell then waits for the stage, which ends when its work is
# saved. Jobs keep Snakemake's own stderr open, as number 198: there they say why they failed, before Snakemake repeats
# their command.
shell.prefix("set -euo pipefail; trap : TERM; exec 198>&2; export CLIPGRAPH_CALLER=198; ")


# These rules take a second or two each. On a cluster they run where Snakemake does, so that check_data prints there.
localrules:
    build_vocabulary,
    check_data,
    check_dataset,
    describe_experiment,
    index_captions,


# Every artifact of the report is named, because Snakemake makes a lost file again only where a target asks for it.
rule all:
    """Make the report, every artifact that it shows, and the gallery of every prediction."""
    default_target: True
    input:
        artifact("report"),
        *rules.write_report.input,
        artifact("settings", each="experiment"),
        artifact("gallery", each="prediction"),


rule check_data:
    """Print what every data set holds, without generating or decoding a video and without a GPU."""
    input:
        artifact("check_table", each="dataset", where="dataset.videos"),
    log:
        "logs/check_data.log",
    conda:
        "envs/pipeline.yaml"
    params:
        generated=generated,
    shell:
        '(cat /dev/null {input:q}; for line in {params.generated:q}; do echo "$line"; done) | tee {log:q}'

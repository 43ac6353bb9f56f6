"""
Clipgraph: raw videos to captions through action graphs.

    snakemake --cores 8 --resources gpu=2                             everything in config.yaml
    snakemake check_data --quiet all                                  what its data sets hold: videos, captions, splits
    snakemake results/datasets/shapes/nodes/grid/001.zarr/zarr.json   one shard of one stage, and what it needs
"""

from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version, update_config

min_version("9.27")

# This folder, a repository's or an address. To the top of a repository (`gitfile`) Snakemake itself joins no path.
HERE = workflow.current_basedir


include: HERE.join("rules/package.smk")


from pipeline.config import validate
from pipeline.config.command_line import as_in_a_file
from pipeline.config.plain import require_no_template
from pipeline.errors import PipelineError
from pipeline.workflow.job_lines import show_running_jobs, tell_in_words
from pipeline.workflow.own_code import environment_lines
from pipeline.workflow.paths import CONSTRAINTS, SPLITS
from pipeline.workflow.planned import write_plan_when_built

try:
    # Snakemake has read the overlays before this line: to it they are code, as a profile is.
    require_no_template(*CONFIGS, *workflow.overwrite_configfiles)
except PipelineError as error:
    raise WorkflowError(str(error)) from None


configfile: CONFIGS[0]


if len(CONFIGS) > 1:

    configfile: CONFIGS[1]


if workflow.modifier.skip_configfile:  # a module with a `config:` of its own, which is laid over ours, too
    given, config = config, load_configfile(CONFIGS[0])
    update_config(config, given)

try:
    config = validate(as_in_a_file(config, workflow.config_settings.config)).model_dump(mode="json")
    own_environment = environment_lines()
except PipelineError as error:
    raise WorkflowError(str(error)) from None


include: HERE.join("rules/common.smk")
include: HERE.join("rules/jobs.smk")
include: HERE.join("rules/captioners.smk")
include: HERE.join("rules/datasets.smk")
include: HERE.join("rules/recognizers.smk")


write_plan_when_built(workflow)
tell_in_words(workflow)


onstart:
    check_gpus()
    show_running_jobs(workflow)


wildcard_constraints:
    shard=CONSTRAINTS["shard"],
    split="|".join(SPLITS),  # and not a challenge, which has nothing to score
    trial=trial_names(),
    dataset=names("datasets"),
    sampling=names("samplings"),
    encoder=names("encoders"),
    nodes=names("nodes"),
    graph=names("graphs"),
    maps=names("maps"),
    knowledge=names("knowledge"),
    vocabulary=names("vocabularies"),
    clipping=names("clippings"),
    recognizer=names("recognizers"),
    groups=names("groups"),
    experiment=names("experiments"),
    prediction=names("predictions"),
    explanation=names("explanations"),
    metric=CONSTRAINTS["metric"],


include: HERE.join("rules/videos.smk")
include: HERE.join("rules/clips.smk")
include: HERE.join("rules/labels.smk")
include: HERE.join("rules/features.smk")
include: HERE.join("rules/nodes.smk")
include: HERE.join("rules/graphs.smk")
include: HERE.join("rules/knowledge.smk")
include: HERE.join("rules/training.smk")
include: HERE.join("rules/evaluation.smk")
include: HERE.join("rules/recognition.smk")
include: HERE.join("rules/tstl.smk")
include: HERE.join("rules/explanations.smk")
include: HERE.join("rules/predictions.smk")
include: HERE.join("rules/report.smk")


# Schedulers send SIGTERM to all processes of a job. The shell then waits for the stage, which ends when its work is
# saved. The stage is of the package that was imported here. Jobs keep Snakemake's own stderr open, as number 198: there
# they say why they failed, before Snakemake repeats their command.
shell.prefix(f"set -euo pipefail; trap : TERM; exec 198>&2; export CLIPGRAPH_CALLER=198; {own_environment}")


# Every artifact of the report is named, because Snakemake makes a lost file again only where a target asks for it.
rule all:
    """Make the report, every artifact that it shows, and the gallery of every prediction."""
    default_target: True
    input:
        artifact("report"),
        *rules.write_report.input,
        *recognition_results,
        *routing_results,
        *explanation_results,
        artifact("settings", each="experiment"),
        artifact("gallery", each="prediction"),


rule check_data:
    """Print what every data set holds, without generating or decoding a video and without a GPU."""
    input:
        artifact("check_table", each="dataset", where="dataset.videos"),
    log:
        "logs/check_data.log",
    localrule: True
    conda:
        "envs/pipeline.yaml"
    params:
        generated=generated,
    shell:
        '(cat /dev/null {input:q}; for line in {params.generated:q}; do echo "$line"; done) | tee {log:q}'

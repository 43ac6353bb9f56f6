"""Write down what an experiment stands on, so that its captioner can be used without config.yaml."""

from pathlib import Path

from pipeline.artifact import write_json
from pipeline.workflow.experiment_chain import ExperimentChain


def run(out: Path, settings: ExperimentChain) -> None:
    """Write the settings of an experiment.

    Args:
        out: The settings (JSON).
        settings: The chain of the experiment: samplings, encoders, nodes, graph, knowledge, captioner, vocabulary.
    """
    write_json(out, settings.model_dump(mode="json"))

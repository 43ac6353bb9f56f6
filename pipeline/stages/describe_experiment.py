"""Write down all settings that an experiment depends on, so that its model can be used without config.yaml."""

from pathlib import Path

from pipeline.artifact import write_json
from pipeline.workflow.experiment_chain import ExperimentChain


def run(out: Path, settings: ExperimentChain) -> None:
    """Write the settings of an experiment and of everything it depends on.

    Args:
        out: Where the settings go (JSON).
        settings: The chain of the experiment. Of captioning: samplings, encoders, nodes, graph, knowledge, captioner,
            vocabulary, and the paths of the files made of them. Of recognition: clipping and recognizer.
    """
    write_json(out, settings.model_dump(mode="json"))

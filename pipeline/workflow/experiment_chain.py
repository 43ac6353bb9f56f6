"""Everything that one experiment stands on, whatever its kind."""

from collections.abc import Mapping
from typing import Any

from pipeline.workflow.captioning_chain import CaptioningChain, captioning_chain

# Another kind joins in these two lines: as a member of the union, told apart by `kind`, and with what makes its chain.
ExperimentChain = CaptioningChain
CHAINS = {"captioning": captioning_chain}


def chain_of(config: Mapping[str, Any], name: str, paths: Mapping[str, str]) -> dict[str, Any]:
    """The chain of one experiment, in the JSON form of `ExperimentChain`.

    Args:
        config: The whole configuration, checked, in its JSON form.
        name: The experiment.
        paths: Where artifacts are, by kind, with names in braces in the path, whose first part is the folder of the
            results.
    """
    return CHAINS[config["experiments"][name]["kind"]](config, name, paths)

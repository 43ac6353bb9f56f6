"""The chain of an experiment, whatever its kind: all entries of the configuration that the experiment stands on."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from pipeline.workflow.captioning_chain import CaptioningChain, captioning_chain
from pipeline.workflow.external_chain import ExternalChain, external_chain
from pipeline.workflow.map_captioning_chain import MapCaptioningChain, map_captioning_chain
from pipeline.workflow.recognition_chain import RecognitionChain, recognition_chain
from pipeline.workflow.routing_chain import RoutingChain, routing_chain

# Another kind is added in these two lines: its chain, to a union that `kind` tells apart, and the function that makes
# the chain.
ExperimentChain = Annotated[
    CaptioningChain | ExternalChain | MapCaptioningChain | RecognitionChain | RoutingChain, Field(discriminator="kind")
]
CHAINS = {
    "captioning": captioning_chain,
    "external": external_chain,
    "map_captioning": map_captioning_chain,
    "recognition": recognition_chain,
    "routing": routing_chain,
}


def chain_of(config: Mapping[str, Any], name: str, paths: Mapping[str, str]) -> dict[str, Any]:
    """The chain of one experiment, in the JSON form of `ExperimentChain`.

    Args:
        config: The whole configuration, checked, in its JSON form.
        name: The experiment.
        paths: Path patterns of the artifacts by kind, with names in braces. Their first part is the folder of the
            results.
    """
    return CHAINS[config["experiments"][name]["kind"]](config, name, paths)

"""All settings that a `routing` experiment stands on: its selector and its experts, each an experiment of its own."""

from collections.abc import Mapping
from typing import Any, Literal

from pipeline.config import GroupsSettings, RoutingSettings, Settings
from pipeline.config.types import Name
from pipeline.workflow.recognition_chain import RecognitionChain, recognition_chain


class RoutingChain(Settings):
    """The entries of the configuration that an experiment names, directly or not.

    Attributes:
        kind: Kind of the experiment.
        name: Name of the experiment.
        experiment: The experiment's entry.
        groups: How the classes are grouped.
        selector: The chain of the selector.
        experts: The chains of the experts, in the order of their groups.
    """

    kind: Literal["routing"]
    name: Name
    experiment: RoutingSettings
    groups: GroupsSettings
    selector: RecognitionChain
    experts: list[RecognitionChain]


def routing_chain(config: Mapping[str, Any], name: str, paths: Mapping[str, str]) -> dict[str, Any]:
    """The chain of one experiment, in the JSON form of `RoutingChain`; see `chain_of`."""
    experiment = config["experiments"][name]
    selector, *experts = (
        recognition_chain(config, part, paths) for part in (experiment["selector"], *experiment["experts"])
    )
    return {
        "kind": experiment["kind"],
        "name": name,
        "experiment": experiment,
        "groups": config["groups"][selector["experiment"]["part"]["groups"]],
        "selector": selector,
        "experts": experts,
    }

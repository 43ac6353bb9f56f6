"""All settings that an `external` experiment stands on: its own entry, because another system made its captions."""

from collections.abc import Mapping
from typing import Any, Literal

from pipeline.config import ExternalSettings, Settings
from pipeline.config.types import Name


class ExternalChain(Settings):
    """The entry of the configuration that the experiment is.

    Attributes:
        kind: Kind of the experiment.
        name: Name of the experiment.
        experiment: The experiment's entry.
    """

    kind: Literal["external"]
    name: Name
    experiment: ExternalSettings


def external_chain(config: Mapping[str, Any], name: str, _: Mapping[str, str]) -> dict[str, Any]:
    """The chain of one experiment, in the JSON form of `ExternalChain`; see `chain_of`."""
    experiment = config["experiments"][name]
    return {"kind": experiment["kind"], "name": name, "experiment": experiment}

"""All settings that a `captioning` experiment stands on, from the sampling of frames to the search for captions.

With these, the weights and the model, videos can be captioned without config.yaml.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from pipeline.config import (
    CaptionerSettings,
    CaptioningSettings,
    EncoderSettings,
    GraphSettings,
    KnowledgeSettings,
    NodesSettings,
    SamplingSettings,
    Settings,
    VocabularySettings,
)
from pipeline.config.types import Name
from pipeline.workflow.below_results import Below, below_results


class CaptioningChain(Settings):
    """The entries of the configuration that an experiment names, directly or not, and the files made of them.

    Attributes:
        kind: Kind of the experiment.
        name: Name of the experiment.
        experiment: The experiment's entry.
        samplings: Samplings by name: of the nodes, of the objects and of the frames that are linked to knowledge.
        encoders: Encoders by name: all that the graph, the objects and the knowledge need; where motion is that of a
            trained CAST, its two experts, too.
        nodes: Nodes by name: those of the graph, and the objects.
        graph: The action graph.
        knowledge: The knowledge graph; None without one.
        captioner: Sizes, training and decoding of the captioner.
        vocabulary: How the words were chosen; the words themselves are in the model file.
        weights: Path of each encoder's weights below the results, by the encoder's name; those of a CAST are the model
            of its experiment.
        embedding: Path of the knowledge graph's embedding below the results; None without one.
        triplets: Path of the knowledge graph's triplets below the results; None without one.
    """

    kind: Literal["captioning"]
    name: Name
    experiment: CaptioningSettings
    samplings: dict[Name, SamplingSettings]
    encoders: dict[Name, EncoderSettings]
    nodes: dict[Name, NodesSettings]
    graph: GraphSettings
    knowledge: KnowledgeSettings | None
    captioner: CaptionerSettings
    vocabulary: VocabularySettings
    weights: dict[Name, Below]
    embedding: Below | None
    triplets: Below | None

    def files(self) -> list[str]:
        """Paths below the results of all files besides the model that captioning needs."""
        return [*self.weights.values(), *(path for path in (self.embedding, self.triplets) if path is not None)]

    @model_validator(mode="after")
    def _names_what_it_holds(self) -> Self:
        for place, name, entries in self._references():
            if name is not None and name not in entries:
                raise ValueError(f"`{place}: {name}`: there is no such entry")
        return self

    def _references(self) -> Iterator[tuple[str, str | None, Mapping[str, Any]]]:
        """Each place that names an entry, the name there (None for no entry), and the entries that it must be among."""
        yield "graph.nodes", self.graph.nodes, self.nodes
        yield "graph.motion", self.graph.motion, self.encoders
        yield "experiment.objects", self.experiment.objects, self.nodes
        users = {f"nodes.{name}": nodes for name, nodes in self.nodes.items()}
        for place, user in (users | ({"knowledge": self.knowledge} if self.knowledge else {})).items():
            yield f"{place}.sampling", user.sampling, self.samplings
            yield f"{place}.encoder", user.encoder, self.encoders
            yield f"{place}.detector", getattr(user, "detector", None), self.encoders
        for encoder in self.encoders:
            yield "encoders", encoder, self.weights


def captioning_chain(config: Mapping[str, Any], name: str, paths: Mapping[str, str]) -> dict[str, Any]:
    """The chain of one experiment, in the JSON form of `CaptioningChain`.

    Args:
        config: The whole configuration, checked, in its JSON form.
        name: The experiment.
        paths: Path patterns of `weights`, `embedding` and `triplets`, with `{encoder}` or `{knowledge}` in them, and of
            `model`, with `{trial}`. Their first part is the folder of the results.
    """
    experiment = config["experiments"][name]
    graph = config["graphs"][experiment["graph"]]
    nodes = {key: config["nodes"][key] for key in (graph["nodes"], experiment["objects"]) if key is not None}
    knowledge = None if experiment["knowledge"] is None else config["knowledge"][experiment["knowledge"]]
    users = [*nodes.values(), *([knowledge] if knowledge else [])]
    encoders = {graph["motion"], *(user[key] for user in users for key in ("encoder", "detector") if user.get(key))}
    encoders |= experts_of(config, graph["motion"])
    weights = {encoder: weights_of(config, encoder, paths) for encoder in sorted(encoders)}
    return {
        "kind": experiment["kind"],
        "name": name,
        "experiment": experiment,
        "samplings": {user["sampling"]: config["samplings"][user["sampling"]] for user in users},
        "encoders": {encoder: config["encoders"][encoder] for encoder in sorted(encoders)},
        "nodes": nodes,
        "graph": graph,
        "knowledge": knowledge,
        "captioner": config["captioners"][experiment["captioner"]],
        "vocabulary": config["vocabularies"][experiment["vocabulary"]],
        "weights": {encoder: below_results(path) for encoder, path in weights.items()},
        **{
            kind: below_results(paths[kind].format(knowledge=experiment["knowledge"])) if knowledge else None
            for kind in ("embedding", "triplets")
        },
    }


def experts_of(config: Mapping[str, Any], encoder: str) -> set[str]:
    """The two encoders over which the CAST of an encoder was trained; none for encoders of other kinds."""
    settings = config["encoders"][encoder]
    if settings["kind"] != "cast":
        return set()
    recognizer = config["recognizers"][config["experiments"][settings["experiment"]]["recognizer"]]
    return {recognizer["spatial"], recognizer["temporal"]}


def weights_of(config: Mapping[str, Any], encoder: str, paths: Mapping[str, str]) -> str:
    """Path of an encoder's weights, from the folder of the results on; the model of the experiment that trained it."""
    trained = config["encoders"][encoder].get("experiment")
    return paths["weights"].format(encoder=encoder) if trained is None else paths["model"].format(trial=trained)

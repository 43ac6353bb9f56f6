"""Run the stages of an experiment of kind `captioning` on one shard of videos, from frames to graphs and captions."""

from pathlib import Path
from typing import Any

from pipeline.commands.shard_run import ShardRun
from pipeline.config import (
    CastEncoderSettings,
    Clip4ClipSettings,
    DetectorSettings,
    GridNodesSettings,
    I3dSettings,
)
from pipeline.workflow.captioning_chain import CaptioningChain


class GraphShardRun(ShardRun[CaptioningChain]):
    """The artifacts of some videos for a captioner of graphs.

    Args:
        chain: The settings that the experiment stands on.
        results: Folder of the results, where weights and embedding are.
        model: The captioner's model.safetensors.
        videos: The video table (JSON).
        folder: Folder for the artifacts.
    """

    def __init__(self, chain: CaptioningChain, results: Path, model: Path, videos: Path, folder: Path) -> None:
        super().__init__(
            chain, results, model, videos, folder, chain.samplings, chain.nodes[chain.graph.nodes].sampling
        )

    def read_by_captioner(self) -> dict[str, list[Path]]:
        """The graphs, and motion of pairs, knowledge and objects as far as the experiment has them."""
        return {
            "graphs": [self.graphs()],
            "pair_motion": self.pair_motion(),
            "knowledge": self.knowledge(),
            "objects": self.objects(),
        }

    def motion(self) -> Path:
        """Motion around the sampled frames of the graph's nodes, by I3D or by a trained CAST."""
        from pipeline.stages import extract_cast, extract_i3d

        name, sampling, out = self.chain.graph.motion, self.sampling, self.folder / "motion.zarr"
        if out.exists():
            return out
        common: dict[str, Any] = {
            "videos": self.videos,
            "frames": self.frames(sampling),
            "out": out,
            "window": self.chain.samplings[sampling].window,
            "time_limit": self.chain.samplings[sampling].time_limit,
            "threads": self.threads,
            "decoders": self.threads,
        }
        if isinstance(self.chain.encoders[name], CastEncoderSettings):
            extract_cast.run(**common, model=self.weights(name), experts=self.experts(self.weights(name)))
        else:
            extract_i3d.run(**common, weights=self.weights(name), settings=self.encoder(name, I3dSettings))
        return out

    def nodes(self, name: str) -> Path:
        """Nodes by the name of their settings: those of the graph, or the objects besides it."""
        from pipeline.stages import build_grid_nodes, build_object_nodes

        out, settings = self.folder / f"nodes-{name}.zarr", self.chain.nodes[name]
        if out.exists():
            return out
        if isinstance(settings, GridNodesSettings):
            build_grid_nodes.run(
                frames=self.frames(settings.sampling),
                weights=self.weights(settings.encoder),
                out=out,
                settings=settings,
                encoder=self.encoder(settings.encoder, Clip4ClipSettings),
                threads=self.threads,
            )
        else:
            build_object_nodes.run(
                frames=self.frames(settings.sampling),
                weights=self.weights(settings.detector),
                encoder_weights=[self.weights(settings.encoder)] if settings.encoder else [],
                out=out,
                settings=settings,
                detector=self.encoder(settings.detector, DetectorSettings),
                encoder=self.encoder(settings.encoder, Clip4ClipSettings) if settings.encoder else None,
                threads=self.threads,
            )
        return out

    def spatial_graphs(self) -> Path:
        """The edges within frames."""
        from pipeline.stages import build_spatial_graphs

        out = self.folder / "spatial_graphs.zarr"
        if not out.exists():
            build_spatial_graphs.run(nodes=self.nodes(self.chain.graph.nodes), out=out)
        return out

    def graphs(self) -> Path:
        """The action graphs."""
        from pipeline.stages import build_temporal_graphs, convert_graphs

        nodes, out = self.nodes(self.chain.graph.nodes), self.folder / "graphs.zarr"
        if not out.exists():
            temporal = self.folder / "temporal_graphs.zarr"
            build_temporal_graphs.run(nodes=nodes, out=temporal, settings=self.chain.graph.similarity)
            convert_graphs.run(
                nodes=nodes, motion=self.motion(), spatial=self.spatial_graphs(), temporal=temporal, out=out
            )
        return out

    def pair_motion(self) -> list[Path]:
        """Motion of the pairs of nodes; an empty list if the graph has none."""
        from pipeline.stages import extract_union_motion

        out, sampling = self.folder / "pair_motion.zarr", self.sampling
        if self.chain.graph.motion_of == "frame":
            return []
        if not out.exists():
            extract_union_motion.run(
                videos=self.videos,
                frames=self.frames(sampling),
                nodes=self.nodes(self.chain.graph.nodes),
                spatial=self.spatial_graphs(),
                weights=self.weights(self.chain.graph.motion),
                out=out,
                settings=self.encoder(self.chain.graph.motion, I3dSettings),
                window=self.chain.samplings[sampling].window,
                time_limit=self.chain.samplings[sampling].time_limit,
                threads=self.threads,
                decoders=self.threads,
            )
        return [out]

    def objects(self) -> list[Path]:
        """Objects to attend to besides the graph; an empty list if the experiment has none."""
        name = self.chain.experiment.objects
        return [] if name is None else [self.nodes(name)]

    def knowledge(self) -> list[Path]:
        """Rows of the knowledge graph that the videos are linked to; an empty list if the experiment has none."""
        from pipeline.stages import extract_clip, link_knowledge

        settings, out = self.chain.knowledge, self.folder / "knowledge.zarr"
        if settings is None or self.chain.embedding is None or self.chain.triplets is None:
            return []
        if not out.exists():
            appearance = self.folder / "appearance.zarr"
            extract_clip.run(
                frames=self.frames(settings.sampling),
                weights=self.weights(settings.encoder),
                out=appearance,
                settings=self.encoder(settings.encoder, Clip4ClipSettings),
                threads=self.threads,
            )
            link_knowledge.run(
                appearance=appearance,
                embedding=self.results / self.chain.embedding,
                triplets=self.results / self.chain.triplets,
                out=out,
                settings=settings.linking,
            )
        return [out]

"""Run the stages of an experiment on one shard of videos, in one process, as the rules do for whole data sets.

An artifact is made when it is first asked for; one that exists is complete. Stages are imported when they are needed,
because they load torch.
"""

import os
from pathlib import Path
from typing import Any, TypeVar

from pipeline.config import (
    CastEncoderSettings,
    Clip4ClipSettings,
    DetectorSettings,
    GridNodesSettings,
    I3dSettings,
    Settings,
)
from pipeline.errors import PipelineError
from pipeline.workflow.captioning_chain import CaptioningChain

Kind = TypeVar("Kind", bound=Settings)


class ShardRun:
    """The artifacts of some videos. A method that is named after an artifact makes it if need be and gives its path.

    Args:
        chain: The settings that the experiment stands on.
        results: Folder of the results, where weights and embedding are.
        model: The captioner's model.safetensors.
        videos: The video table (JSON).
        folder: Folder for the artifacts.
    """

    def __init__(self, chain: CaptioningChain, results: Path, model: Path, videos: Path, folder: Path) -> None:
        self.chain = chain
        self.results = results
        self.model = model
        self.videos = videos
        self.folder = folder
        self.sampling = chain.nodes[chain.graph.nodes].sampling
        self.threads = len(os.sched_getaffinity(0))

    def undecodable(self) -> dict[str, str]:
        """The reason for each video whose frames cannot be decoded, by id."""
        from pipeline.artifact import read
        from pipeline.schemas import FRAMES

        return read(self.frames(self.sampling), FRAMES).failed

    def prepare(self) -> None:
        """Make all artifacts that the captioner reads."""
        self.graphs()
        self.pair_motion()
        self.knowledge()
        self.objects()

    def captions(self) -> Path:
        """Captions (JSON) of all the videos that have a graph. Each caption is printed when it is found."""
        from pipeline.stages import caption_videos

        graphs, pair_motion, knowledge, objects = self.graphs(), self.pair_motion(), self.knowledge(), self.objects()
        out = self.folder / "captions.json"
        caption_videos.run(
            graphs=[graphs],
            pair_motion=pair_motion,
            knowledge=knowledge,
            objects=objects,
            videos=[self.videos],
            model=self.model,
            out=out,
            table=self.folder / "captions.csv",
            experiment=self.chain.name,
            settings=self.chain.captioner.decoding,
            threads=self.threads,
        )
        return out

    def frames(self, sampling: str) -> Path:
        """Sampled frames. A video that cannot be decoded is recorded, whatever `on_bad_video` of the sampling says."""
        from pipeline.stages import decode_frames

        out = self.folder / f"frames-{sampling}.zarr"
        if not out.exists():
            settings = self.chain.samplings[sampling].model_copy(update={"on_bad_video": "record"})
            decode_frames.run(self.videos, out, settings, self.threads)
        return out

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

    def experts(self, model: Path) -> list[Path]:
        """Files of the spatial and the temporal expert that a CAST was trained over, which its file names."""
        from pipeline.recognition.cast_motion import named_experts

        names = named_experts(model)
        unknown = [name for name in names if name not in self.chain.weights]
        if unknown:
            raise PipelineError(
                f"{model}: trained over encoder {unknown[0]}, which the settings of {self.chain.name} do not name: run "
                f"describe_experiment again (snakemake results/experiments/{self.chain.name}/settings.json)"
            )
        return [self.weights(name) for name in names]

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

    def weights(self, encoder: str) -> Path:
        """File of an encoder's weights."""
        return self.results / self.chain.weights[encoder]

    def encoder(self, name: str, kind: type[Kind]) -> Kind:
        """Settings of an encoder by name; PipelineError if they are not of the expected kind."""
        found = self.chain.encoders[name]
        if not isinstance(found, kind):
            raise PipelineError(
                f"settings of {self.chain.name}: encoder {name} is of kind {found.kind}, which is not what its place "
                f"needs: run describe_experiment again (snakemake results/experiments/{self.chain.name}/settings.json)"
            )
        return found

"""Run the stages of an experiment on one shard of videos, in one process, as the rules do for whole data sets.

An artifact is made when it is first asked for; one that exists is complete. Stages are imported when they are needed,
because they load torch.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Generic, TypeVar

from pipeline.config import SamplingSettings, Settings
from pipeline.errors import PipelineError
from pipeline.workflow.captioning_chain import CaptioningChain
from pipeline.workflow.map_captioning_chain import MapCaptioningChain

Chain = TypeVar("Chain", bound=CaptioningChain | MapCaptioningChain)
Kind = TypeVar("Kind", bound=Settings)


class ShardRun(ABC, Generic[Chain]):
    """The artifacts of some videos. A method that is named after an artifact makes it if need be and gives its path.

    Args:
        chain: The settings that the experiment stands on.
        results: Folder of the results, where weights and embedding are.
        model: The captioner's model.safetensors.
        videos: The video table (JSON).
        folder: Folder for the artifacts.
        samplings: Samplings of the chain by name.
        sampling: The name of the one that decides which videos can be captioned.
    """

    def __init__(
        self,
        chain: Chain,
        results: Path,
        model: Path,
        videos: Path,
        folder: Path,
        samplings: Mapping[str, SamplingSettings],
        sampling: str,
    ) -> None:
        self.chain = chain
        self.results = results
        self.model = model
        self.videos = videos
        self.folder = folder
        self.samplings = samplings
        self.sampling = sampling
        self.threads = len(os.sched_getaffinity(0))

    @abstractmethod
    def read_by_captioner(self) -> dict[str, list[Path]]:
        """All artifacts that the captioner reads, by the arguments of `caption_videos` that take them."""

    def undecodable(self) -> dict[str, str]:
        """The reason for each video whose frames cannot be decoded, by id."""
        from pipeline.artifact import read
        from pipeline.schemas import FRAMES

        return read(self.frames(self.sampling), FRAMES).failed

    def captions(self) -> Path:
        """Captions (JSON) of all the videos that can be captioned. Each caption is printed when it is found."""
        from pipeline.stages import caption_videos

        out = self.folder / "captions.json"
        nothing: dict[str, list[Path]] = {of: [] for of in ("graphs", "pair_motion", "knowledge", "objects", "maps")}
        caption_videos.run(
            **nothing | self.read_by_captioner(),
            videos=[self.videos],
            model=self.model,
            out=out,
            table=out.with_suffix(".csv"),
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
            settings = self.samplings[sampling].model_copy(update={"on_bad_video": "record"})
            decode_frames.run(self.videos, out, settings, self.threads)
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

"""Run the stages of an experiment of kind `map_captioning` on one shard of videos: frames, maps and captions."""

from pathlib import Path

from pipeline.commands.shard_run import ShardRun
from pipeline.workflow.map_captioning_chain import MapCaptioningChain


class MapShardRun(ShardRun[MapCaptioningChain]):
    """The artifacts of some videos for a captioner of maps.

    Args:
        chain: The settings that the experiment stands on.
        results: Folder of the results, where the encoder's weights are.
        model: The captioner's model.safetensors.
        videos: The video table (JSON).
        folder: Folder for the artifacts.
    """

    def __init__(self, chain: MapCaptioningChain, results: Path, model: Path, videos: Path, folder: Path) -> None:
        sampling = chain.maps.sampling
        super().__init__(chain, results, model, videos, folder, {sampling: chain.sampling}, sampling)

    def read_by_captioner(self) -> dict[str, list[Path]]:
        """The maps, as `maps`."""
        return {"maps": [self.maps()]}

    def maps(self) -> Path:
        """Maps of the windows around the sampled frames, by I3D or by a trained recognizer."""
        from pipeline.recognition.trained import is_cast
        from pipeline.stages import extract_maps

        out, encoder = self.folder / "maps.zarr", self.chain.maps.encoder
        if not out.exists():
            weights = self.weights(encoder)
            extract_maps.run(
                videos=self.videos,
                frames=self.frames(self.sampling),
                weights=weights,
                experts=self.experts(weights) if is_cast(weights) else [],
                out=out,
                settings=self.chain.maps,
                encoder=self.chain.encoders[encoder],
                window=self.chain.sampling.window,
                time_limit=self.chain.sampling.time_limit,
                threads=self.threads,
                decoders=self.threads,
            )
        return out

"""A shard of small videos with their table and sampled frames, for stages that look at windows of them."""

from collections.abc import Callable
from pathlib import Path

from pipeline.artifact import write_json
from pipeline.config import SamplingSettings
from pipeline.stages import decode_frames

SAMPLING = SamplingSettings(fps=5.0, max_frames=20, short_side=40, window=16, time_limit=60.0, on_bad_video="record")
LENGTHS = {"a one": 1, "c16": 16, "e40": 40}  # frames of each video, by id


def write_sampled_shard(folder: Path, make_video: Callable[..., None]) -> None:
    """Write `files`, one of which is no video, `videos.json` and `frames.zarr` into a folder."""
    (folder / "files").mkdir()
    for name, num_frames in LENGTHS.items():
        make_video(folder / "files" / f"{name}.mp4", num_frames, size_hw=(48, 80), rate=10)
    (folder / "files/text.mp4").write_text("no video")
    files = sorted((folder / "files").iterdir())
    videos = [{"id": path.stem, "path": path.name, "size": path.stat().st_size} for path in files]
    write_json(folder / "videos.json", {"root": str(folder / "files"), "videos": videos})
    decode_frames.run(folder / "videos.json", folder / "frames.zarr", SAMPLING, threads=1)

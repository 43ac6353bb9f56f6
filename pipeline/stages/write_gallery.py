"""Write one self-contained page of captioned videos: each with its caption, and what could not be captioned.

The page loads nothing from anywhere. It stays of a bounded size: when the clips together are large, the videos after
them stand there as a still, and after many stills without a picture. It holds no time and no host.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.artifact import read_json
from pipeline.artifact.video_table import Clip, read_all_clips
from pipeline.errors import PipelineError, VideoError
from pipeline.jobs.progress import track
from pipeline.jobs.storage import replaced
from pipeline.report.clips import data_uri, still_uri
from pipeline.report.page import fill_in

PAGE_BYTES = 40_000_000  # of clips and stills together
CLIP_BYTES = 30_000_000  # of them for clips
ONE_CLIP_BYTES = 1_500_000  # a clip of ten noisy seconds may be larger: it is shown as a still


def run(captions: Path, videos: list[Path], out: Path) -> None:
    """Write the gallery of a prediction.

    Args:
        captions: The prediction's captions.json.
        videos: The video tables of its data set, which say where the files are.
        out: The page.
    """
    prediction = read_json(captions, ["experiment", "videos", "missing"], "caption_videos")
    clips = read_all_clips(videos)
    unknown = sorted(prediction["videos"].keys() - clips.keys())
    if unknown:
        raise PipelineError(
            f"{captions}: video {unknown[0]} is in none of the video tables: run caption_videos again "
            f"(snakemake {captions})"
        )
    shown = list(show(prediction["videos"], clips))
    page = fill_in(
        "gallery.html.j2",
        {
            "experiment": prediction["experiment"],
            "videos": shown,
            "num_stills": sum(video["clip"] is None and video["still"] is not None for video in shown),
            "missing": prediction["missing"],
        },
    )
    with replaced(out) as new:
        new.write_text(page, encoding="utf-8")
    print(f"{out}: {len(shown)} videos, {len(page) / 1e6:.1f} MB")


def show(videos: Mapping[str, Mapping[str, Any]], clips: Mapping[str, Clip]) -> Iterator[dict[str, Any]]:
    """What the page says of each video, by id, with as many pictures as the page has room for.

    Args:
        videos: By id: `path`, `caption`, `score` and perhaps `samples`.
        clips: Where they are.

    Yields:
        These, and `id`, `interval` (None for a whole file), `clip` and `still` (data URIs or None) and `problem` (why
        there is neither, or None).
    """
    clip_bytes = page_bytes = 0
    for video_id in track(sorted(videos), len(videos), "write_gallery: clips"):
        file, interval = clips[video_id].file, clips[video_id].interval
        shown = {"samples": [], **videos[video_id], "id": video_id, "interval": interval}
        shown |= {"clip": None, "still": None, "problem": None}
        try:
            if page_bytes < PAGE_BYTES:
                shown["still"] = still_uri(file, interval)
            if clip_bytes < CLIP_BYTES:
                clip = data_uri(file, interval)
                shown["clip"] = clip if len(clip) <= ONE_CLIP_BYTES else None
        except VideoError as error:
            shown["problem"] = str(error)
        clip_bytes += len(shown["clip"] or "")
        page_bytes += len(shown["clip"] or "") + len(shown["still"] or "")
        yield shown

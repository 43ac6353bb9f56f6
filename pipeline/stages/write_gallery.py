"""Write one self-contained page of captioned videos: each with its caption, and what could not be captioned.

The page loads nothing from anywhere. It stays of a bounded size: when the clips together are large, the videos after
them stand there as a still, and after many stills without a picture. It holds no time and no host.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.artifact import read_json
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
    files = files_of(videos)
    unknown = sorted(prediction["videos"].keys() - files.keys())
    if unknown:
        raise PipelineError(
            f"{captions}: video {unknown[0]} is in none of the video tables: run caption_videos again "
            f"(snakemake {captions})"
        )
    shown = list(show(prediction["videos"], files))
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


def files_of(tables: list[Path]) -> dict[str, Path]:
    """Where the videos are, by id."""
    files: dict[str, Path] = {}
    for path in tables:
        table = read_json(path, ["videos", "root"], "index_videos")
        files |= {video["id"]: Path(table["root"]) / video["path"] for video in table["videos"]}
    return files


def show(videos: Mapping[str, Mapping[str, Any]], files: Mapping[str, Path]) -> Iterator[dict[str, Any]]:
    """What the page says of each video, by id, with as many pictures as the page has room for.

    Args:
        videos: By id: `path`, `caption`, `score` and perhaps `samples`.
        files: Where they are.

    Yields:
        These, and `id`, `clip` and `still` (data URIs or None) and `problem` (why there is neither, or None).
    """
    clip_bytes = page_bytes = 0
    for video_id in track(sorted(videos), len(videos), "write_gallery: clips"):
        shown = {"samples": [], **videos[video_id], "id": video_id, "clip": None, "still": None, "problem": None}
        try:
            if page_bytes < PAGE_BYTES:
                shown["still"] = still_uri(files[video_id])
            if clip_bytes < CLIP_BYTES:
                clip = data_uri(files[video_id])
                shown["clip"] = clip if len(clip) <= ONE_CLIP_BYTES else None
        except VideoError as error:
            shown["problem"] = str(error)
        clip_bytes += len(shown["clip"] or "")
        page_bytes += len(shown["clip"] or "") + len(shown["still"] or "")
        yield shown

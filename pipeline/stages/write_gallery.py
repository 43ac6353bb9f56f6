"""Write one self-contained page of captioned videos: each with its caption, and what could not be captioned.

Of each caption it tells which share of the experiment's test captions is less sure, and of each clip which share of
the test clips looks more like the training clips.

The page loads nothing from elsewhere. Its pictures have a bounded size: when the clips together are large, the videos
after them are shown by a still, and after many stills without a picture. The page holds no time and no host.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.artifact import read_json
from pipeline.artifact.video_table import Clip, read_all_clips
from pipeline.errors import PipelineError, VideoError
from pipeline.jobs.progress import track
from pipeline.jobs.storage import replaced
from pipeline.report.clips import data_uri, still_uri
from pipeline.report.page import fill_in
from pipeline.report.standing import UNKNOWN, Standing, measure_distances, stand

PAGE_BYTES = 40_000_000  # once clips and stills together have so many bytes, there are no more stills
CLIP_BYTES = 30_000_000  # once clips have so many bytes, there are no more clips
ONE_CLIP_BYTES = 1_500_000  # a larger clip, as ten noisy seconds may be, is shown as a still


def run(
    *,
    captions: Path,
    videos: list[Path],
    graphs: list[Path],
    tested: list[Path],
    trained_graphs: list[Path],
    references: list[Path],
    out: Path,
) -> None:
    """Write the gallery of a prediction.

    Args:
        captions: The prediction's captions.json.
        videos: The video tables of the prediction's data set, which say where the files are.
        graphs: Graphs of that data set, of all its shards; nothing where the page need not tell how the clips look.
        tested: The captions.json of the experiment's test split; nothing where it has none.
        trained_graphs: Graphs of the data set that the experiment learned from, of all its shards, or nothing.
        references: The captions.json of that data set, for its splits, or nothing.
        out: Where the page goes (HTML).

    Raises:
        PipelineError: A captioned video is in none of the video tables.
    """
    prediction = read_json(captions, ["experiment", "videos", "missing"], "caption_videos")
    clips = read_all_clips(videos)
    unknown = sorted(prediction["videos"].keys() - clips.keys())
    if unknown:
        raise PipelineError(
            f"{captions}: video {unknown[0]} is in none of the video tables: run caption_videos again "
            f"(snakemake {captions})"
        )
    standing = stand_among_tests(prediction["videos"], graphs, tested, trained_graphs, references)
    shown = [video | {"standing": standing[video["id"]]} for video in show(prediction["videos"], clips)]
    page = fill_in(
        "gallery.html.j2",
        {
            "experiment": prediction["experiment"],
            "videos": shown,
            "num_unlike": sum(of.unlike for of in standing.values()),
            "tells_surer": any(of.surer is not None for of in standing.values()),
            "tells_farther": any(of.farther is not None for of in standing.values()),
            "num_stills": sum(video["clip"] is None and video["still"] is not None for video in shown),
            "missing": prediction["missing"],
        },
    )
    with replaced(out) as new:
        new.write_text(page, encoding="utf-8")
    print(f"{out}: {len(shown)} videos, {len(page) / 1e6:.1f} MB")


def stand_among_tests(
    videos: Mapping[str, Mapping[str, Any]],
    graphs: Sequence[Path],
    tested: Sequence[Path],
    trained_graphs: Sequence[Path],
    references: Sequence[Path],
) -> dict[str, Standing]:
    """Tell where each captioned video stands among the test clips of its experiment, as far as artifacts tell it.

    Args:
        videos: The entries of the prediction by id.
        graphs: As `run` has it, like the following.
        tested: Captions of the test clips.
        trained_graphs: Graphs of the training and test clips.
        references: Splits of the training and test clips.

    Returns:
        The standing of each video by id.
    """
    test_scores: list[float] = []
    for path in tested:
        test_scores += read_json(path, ["captions", "scores"], "generate_captions")["scores"].values()
    distances = UNKNOWN
    for path in references if graphs and trained_graphs else []:
        splits = read_json(path, ["captions", "splits"], "index_captions")["splits"]
        distances = measure_distances(graphs, trained_graphs, splits, videos)
    return stand({video_id: entry["score"] for video_id, entry in videos.items()}, test_scores, distances)


def show(videos: Mapping[str, Mapping[str, Any]], clips: Mapping[str, Clip]) -> Iterator[dict[str, Any]]:
    """Make the entry of each video on the page, with as many pictures as the page has room for.

    Args:
        videos: The entries of the prediction by id, each with `path`, `caption`, `score` and perhaps `samples`.
        clips: The clips of the data set by id.

    Yields:
        In the order of the ids, each entry with `id`, `interval` (None for a whole file), `clip` and `still` (data URIs
        or None) and `problem` (why the file cannot be shown, or None).
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

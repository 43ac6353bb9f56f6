"""Draw what each word of a caption was said for: strips of frames as PNG, and films as MP4, under coloured relevance.

Shapes: N words of a caption, R regions, F frames, H height, W width, C colours.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.artifact import read, read_json, write_json
from pipeline.artifact.each_video import Rows
from pipeline.artifact.video_table import Clip, read_all_clips
from pipeline.captioning.explained import caption_words
from pipeline.errors import PipelineError, VideoError
from pipeline.jobs.progress import track
from pipeline.jobs.storage import replaced
from pipeline.report.heat import Heat, Regions, heat_of, lay_over
from pipeline.schemas import RELEVANCE
from pipeline.video.clip_frames import clip_frames
from pipeline.video.decoding import open_video, read_frames
from pipeline.video.encoding import encode
from pipeline.video.frame_sampling import mean_rate
from pipeline.video.mishaps import costing_one_video
from pipeline.workflow.shown import spread

FRAMES = 6  # most frames of a strip
GAP = 2  # pixels between them
MAX_SECONDS = 10.0  # of a film
SHORT_SIDE = 160  # most pixels of a film, and of a frame of a strip
TOLERANCE = 5e-3  # seconds by which a frame may seem late: files and rates are rounded


class Film:
    """The frames of a video that are drawn on.

    Attributes:
        frames_FHWC: The frames that it shows one after another at its rate.
        time_F: When each of them is shown, on the clock of the video.
        rate: Mean frames a second of the video.
    """

    def __init__(self, frames_FHWC: NDArray[np.uint8], time_F: NDArray[np.float64], rate: Fraction) -> None:
        self.frames_FHWC = frames_FHWC
        self.time_F = time_F
        self.rate = rate

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of a frame."""
        return self.frames_FHWC.shape[1], self.frames_FHWC.shape[2]


def run(*, relevance: Path, captions: Path, videos: list[Path], out: Path, overlays: int) -> None:
    """Draw the maps of some explained videos.

    Args:
        relevance: The explanation of some videos (schema `relevance`).
        captions: The captions that are explained.
        videos: Tables of the data set's videos, of all shards.
        out: Where the list of pictures goes (JSON), which lie beside it: `videos` (for each `id`, `caption`, `rate`
            (frames a second), `strip` and `film` of the whole caption, and `words`, each with `word`, `strip` and
            `film`) and `left_out` (reasons by id). A strip shows the captioner's map above that of its random twin. A
            caption's map is the sum of its words' maps, each scaled to the sum 1.
        overlays: How many videos are drawn, spread over those that are explained.

    Raises:
        PipelineError: An explanation does not fit its caption or its grid, or a video is in no table.
    """
    store = read(relevance, RELEVANCE)
    clips = read_all_clips(videos)
    told = read_json(captions, ["captions", "tokenizer"], "generate_captions")
    drawn = spread(store.ids, overlays)
    rows = {video_id: store.video(video_id) for video_id in drawn}
    words = caption_words(captions, told, {i: len(of["token"]) for i, of in rows.items()}, store.schema.stage)
    out.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"videos": [], "left_out": {}}
    for number, video_id in enumerate(track(drawn, len(drawn), "render_maps")):
        if video_id not in clips:
            raise PipelineError(f"{relevance}: video {video_id} is in none of the tables of videos: explain it again")
        regions = regions_of(relevance, video_id, rows[video_id])
        try:
            film = read_film(clips[video_id])
        except VideoError as error:
            content["left_out"][video_id] = str(error)
            continue
        entry: dict[str, Any] = {"id": video_id, "caption": told["captions"][video_id], "rate": float(film.rate)}
        entry["words"] = []
        for name, word, both in maps_of(words[video_id], rows[video_id]):
            heats = [heat_of(relevance_R, regions, film.size_hw) for relevance_R in both]
            files = draw(out.parent / f"{number:03d}-{name}", film, heats)
            if word is None:
                entry |= files
            else:
                entry["words"].append({"word": word, **files})
        content["videos"].append(entry)
    write_json(out, content)
    remove_strangers(out, content)


def regions_of(relevance: Path, video_id: str, video: Rows) -> Regions:
    """The regions of a video.

    Raises:
        PipelineError: They are fewer or more than the grid has cells, or than words have numbers.
    """
    shape, num_regions, num_words = video["shape"][0], len(video["time"]), len(video["token"])
    cells = int(np.prod(shape))
    of_words = {len(video[name]) for name in ("relevance", "twin")}
    if (cells and cells != num_regions) or of_words != {num_words * num_regions}:
        sizes = " x ".join(map(str, shape))
        raise PipelineError(
            f"{relevance}: video {video_id}: maps of {sizes} and {num_words} words do not fit its {num_regions} "
            "regions: delete it and explain again"
        )
    steps, rows, columns = map(int, shape)
    return Regions(video["time"].astype(np.float64), video["box"].astype(np.float64), (steps, rows, columns))


def read_film(clip: Clip) -> Film:
    """Read the first seconds of a video, scaled; frames of uneven times are shown at the video's mean rate.

    Raises:
        VideoError: The file is missing or another one than was indexed, or does not decode.
    """
    with costing_one_video(), open_video(clip.file) as video:
        found = clip_frames(video, clip.interval)
        times = found.times_F[found.times_F <= found.times_F[0] + MAX_SECONDS]
        rate = Fraction(mean_rate(found.times_F)).limit_denominator(1001) or Fraction(1)
        count = max(1, round(float((times[-1] - times[0]) * rate)) + 1)
        shown_F = times[0] + np.arange(count) / float(rate)
        numbers_F = np.clip(np.searchsorted(times, shown_F + TOLERANCE, "right") - 1, 0, len(times) - 1)
        frames_FHWC = read_frames(video, found.first + numbers_F, even_size(*video.size_hw))
    return Film(frames_FHWC, times[numbers_F], rate)


def even_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of even numbers, of which the smaller is at most `SHORT_SIDE`."""
    scale = min(1.0, SHORT_SIDE / min(height, width))
    tall, wide = (max(2, 2 * round(side * scale / 2)) for side in (height, width))
    return tall, wide


def maps_of(words: list[str], video: Rows) -> Iterator[tuple[str, str | None, list[NDArray[np.float64]]]]:
    """For the caption (None), then for each word: the name of its files, and relevance by captioner and twin `[R]`."""
    both = [video[name].reshape(len(words), len(video["time"])).astype(np.float64) for name in ("relevance", "twin")]
    yield "caption", None, [caption_map(relevance_NR) for relevance_NR in both]
    for place, word in enumerate(words):
        yield f"{place:03d}", word, [relevance_NR[place] for relevance_NR in both]


def caption_map(relevance_NR: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of the maps of all words, each scaled to the sum 1; what is negative counts as 0."""
    positive_NR = np.clip(relevance_NR, 0, None)
    total_N1 = positive_NR.sum(1, keepdims=True)
    return np.asarray(np.divide(positive_NR, total_N1, out=np.zeros_like(positive_NR), where=total_N1 > 0).sum(0))


def draw(place: Path, film: Film, heats: list[Heat]) -> dict[str, str]:
    """Write the strip of the captioner's map above its twin's, and the film of the first; return their names."""
    numbers = np.unique(np.linspace(0, len(film.time_F) - 1, FRAMES).round().astype(int))
    rows = [beside([drawn_on(film, number, heat) for number in numbers]) for heat in heats]
    strip, moving = place.with_name(f"{place.name}.png"), place.with_name(f"{place.name}.mp4")
    gap = np.full((GAP, rows[0].shape[1], 3), 128, np.uint8)
    with replaced(strip) as new:
        Image.fromarray(np.concatenate([rows[0], gap, *rows[1:]])).save(new, "PNG")
    frames_FHWC = np.stack([drawn_on(film, number, heats[0]) for number in range(len(film.time_F))])
    with replaced(moving) as new:
        new.write_bytes(encode(frames_FHWC, film.rate, "mp4"))
    return {"strip": strip.name, "film": moving.name}


def drawn_on(film: Film, number: int, heat: Heat) -> NDArray[np.uint8]:
    """A frame under its heat."""
    return lay_over(film.frames_FHWC[number], heat.at(float(film.time_F[number])))


def beside(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Put pictures of one size beside each other."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 128, np.uint8)
    return np.concatenate([part for picture in pictures for part in (picture, gap)][:-1], 1)


def remove_strangers(out: Path, content: Mapping[str, Any]) -> None:
    """Remove pictures and films of an earlier run that the list does not name."""
    entries = [part for entry in content["videos"] for part in (entry, *entry["words"])]
    named = {entry[kind] for entry in entries for kind in ("strip", "film")}
    for path in out.parent.iterdir():
        if path.suffix in (".png", ".mp4") and path.name not in named:
            path.unlink()

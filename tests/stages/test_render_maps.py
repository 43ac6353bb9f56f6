"""Pictures and films of explanations of real encoded videos."""

import json
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image
from toys.explained import CAPTIONS, write_explanation
from toys.videos import encode

from pipeline.artifact import write_json
from pipeline.artifact.video_table import table_entry
from pipeline.errors import PipelineError
from pipeline.stages.render_maps import GAP, caption_map, even_size, run

RATE = Fraction(25, 2)
GREY = np.full((48, 80, 3), 100, np.uint8)


def write_videos(folder, names=("grid", "nodes"), num_frames=20, **options):
    entries = []
    for name in names:
        path = folder / f"{name}.mp4"
        encode(path, [GREY] * num_frames, RATE, **options)
        entries.append(table_entry(name, path.name, path.stat().st_size, None))
    write_json(folder / "videos.json", {"root": str(folder), "videos": entries})
    return [folder / "videos.json"]


def render(folder, videos, overlays=2, **changes):
    relevance, captions = write_explanation(folder, **changes)
    out = folder / "overlays/index.json"
    run(relevance=relevance, captions=captions, videos=videos, out=out, overlays=overlays)
    return out.parent, json.loads(out.read_text(encoding="utf-8"))


def film(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return stream.average_rate, stream.codec.name, np.stack(frames).astype(int)


def test_strips_and_films_of_every_word_and_of_the_caption(tmp_path):
    folder, index = render(tmp_path, write_videos(tmp_path))
    first, second = index["videos"]
    assert (first["id"], first["caption"], first["rate"]) == ("grid", CAPTIONS["grid"], 12.5)
    assert [word["word"] for word in first["words"]] == ["a", "red", "ball"]
    assert [word["word"] for word in second["words"]] == ["blue"]
    assert index["left_out"] == {}
    named = [part[kind] for entry in index["videos"] for part in (entry, *entry["words"]) for kind in ("strip", "film")]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*named, "index.json"])
    rate, codec, frames = film(folder / first["words"][2]["film"])
    assert (rate, codec, frames.shape) == (RATE, "h264", (20, 48, 80, 3))
    # All relevance of `ball` is on the right: there the film is red and yellow, and grey on the left.
    left, right = frames[:, :, 4:16].mean((0, 1, 2)), frames[:, :, 64:76].mean((0, 1, 2))
    assert left == pytest.approx([100, 100, 100], abs=6)
    assert right[0] > 180
    assert right[2] < 90
    # `a` speaks for nothing: its film is the video.
    assert np.abs(film(folder / first["words"][0]["film"])[2] - 100).max() < 6


def test_a_strip_shows_six_frames_and_the_twin_below(tmp_path):
    folder, index = render(tmp_path, write_videos(tmp_path))
    strip = np.asarray(Image.open(folder / index["videos"][0]["words"][2]["strip"])).astype(int)
    assert strip.shape == (2 * 48 + GAP, 6 * 80 + 5 * GAP, 3)
    upper, lower = strip[:48, :80], strip[-48:, :80]
    assert (upper[:, :16] == 100).all()
    assert (upper[:, 64:, 0] > 180).all()
    assert (lower == 100).all()  # that of the twin is 0 everywhere


def test_the_nodes_of_a_graph_are_boxes_while_their_frame_is_shown(tmp_path):
    """The video `nodes` says nothing for its left box at 0 s, and everything for its right box a second later."""
    folder, index = render(tmp_path, write_videos(tmp_path))
    frames = film(folder / index["videos"][1]["words"][0]["film"])[2]
    assert np.abs(frames[0] - 100).max() < 6
    assert np.abs(frames[-1][:, 4:32] - 100).max() < 6
    right = frames[-1][:, 48:76].mean((0, 1))
    assert right[0] > 180
    assert right[2] < 90
    strip = np.asarray(Image.open(folder / index["videos"][1]["words"][0]["strip"])).astype(int)
    assert (strip[:48, :80] == 100).all()  # the captioner's, before any node speaks
    assert (strip[:48, -40:, 0] > 180).all()
    assert (strip[-48:, :40, 0] > 180).all()  # the twin's left box, at 0 s


def test_a_video_that_cannot_be_read_is_left_out_with_its_reason(tmp_path):
    videos = write_videos(tmp_path)
    (tmp_path / "grid.mp4").write_bytes(b"no video")
    folder, index = render(tmp_path, videos)
    assert list(index["left_out"]) == ["grid"]
    assert [entry["id"] for entry in index["videos"]] == ["nodes"]
    assert len(list(folder.glob("*.mp4"))) == 2


def test_what_an_earlier_run_drew_goes(tmp_path):
    videos = write_videos(tmp_path)
    render(tmp_path, videos)
    folder, index = render(tmp_path, videos, overlays=1)
    assert {path.name[:3] for path in folder.glob("*.png")} == {"000"}
    assert len(index["videos"]) == 1
    assert render(tmp_path, videos, overlays=0)[1] == {"videos": [], "left_out": {}}


def test_frames_of_uneven_times_are_shown_when_they_are(tmp_path):
    """Two frames a long time apart: the film has their mean rate, and each frame is shown for its time."""
    times = [0, 100, 200, 1000]
    images = [np.full((48, 80, 3), level, np.uint8) for level in (20, 60, 140, 220)]
    encode(tmp_path / "grid.mp4", images, 10, times_ms=times)
    entry = table_entry("grid", "grid.mp4", (tmp_path / "grid.mp4").stat().st_size, None)
    write_json(tmp_path / "videos.json", {"root": str(tmp_path), "videos": [entry]})
    folder, index = render(tmp_path, [tmp_path / "videos.json"], overlays=1)
    frames = film(folder / index["videos"][0]["words"][0]["film"])[2]
    # At 3 frames a second: at 0, 1/3, 2/3 and 1 s the first, the third twice, and the last.
    assert [round(float(frame.mean()) / 20) for frame in frames] == [1, 7, 7, 11]


def test_maps_that_do_not_fit_are_one_line(tmp_path):
    videos = write_videos(tmp_path)
    with pytest.raises(PipelineError, match=r"video grid: maps of 1 x 2 x 2 and 3 words do not fit its 2 regions") as e:
        render(tmp_path, videos, shape=np.array([[1, 2, 2]]))
    assert "\n" not in str(e.value)
    with pytest.raises(PipelineError, match="video nodes is in none of the tables of videos: explain it again"):
        render(tmp_path, write_videos(tmp_path, names=["grid"]))


def test_the_map_of_a_caption_is_the_sum_of_its_words_maps():
    assert caption_map(np.array([[1.0, 3.0], [0.0, 0.0], [-1.0, 2.0]])).tolist() == [0.25, 1.75]


def test_sides_are_even_and_not_large():
    assert even_size(48, 80) == (48, 80)
    assert even_size(1080, 1920) == (160, 284)
    assert even_size(33, 1) == (32, 2) or even_size(33, 1) == (34, 2)

"""A clip that is an interval of a file equals the clip that was cut out into a file of its own, in every bit."""

import json

import numpy as np
import pytest
from toys.cut_files import cut
from video_corpus import B_FRAMES, GOOD, STEADY, made, picture

from pipeline.artifact import read, write_json
from pipeline.config import I3dSettings, SamplingSettings
from pipeline.schemas import FRAMES, MOTION
from pipeline.stages import decode_frames, extract_i3d, import_weights, index_videos
from pipeline.video.clip_frames import clip_frames
from pipeline.video.decoding import open_video, read_frames
from pipeline.video.frame_sampling import FramesRequest, read_sampled_frames
from pipeline.video.interval import Interval
from pipeline.video.windows import WindowRequest, read_windows, window_starts

OPEN_GROUPS = {**STEADY, "preset": "veryfast", "x264-params": "bframes=3:keyint=12:scenecut=0:open-gop=1"}
VARIABLE_MS = [0, 40, 80, 480, 520, 1000, 1040, 1900, 2000, 2300, 2340, 2380, 3000]
MAKERS = {
    "plain.mp4": made(40),
    "b_frames.mp4": made(40, codec_options=B_FRAMES),
    "b_frames.mkv": made(40, codec_options=B_FRAMES),
    "b_frames.avi": made(40, codec_options=B_FRAMES),  # its packets have no times: it is decoded from its start
    "mpeg4.avi": made(40, "mpeg4", codec_options=STEADY),
    "open_groups.mp4": made(40, codec_options=OPEN_GROUPS),
    "open_groups.mkv": made(40, codec_options=OPEN_GROUPS),
    "transport_stream.ts": made(40, codec_options=B_FRAMES),  # begins at 0.2 s of its own clock
    "trimmed_by_edit_list.mp4": GOOD["trimmed_by_edit_list.mp4"],
    "variable_rate.mkv": made(13, times_ms=VARIABLE_MS),
    "variable_rate.mp4": made(13, times_ms=VARIABLE_MS),
}
THIRDS = [(0.0, 1.0), (1.0, 2.3), (2.3, None)]
STARTS_AT_100_MS = {"b_frames.avi"}  # its first frame: starts that no frame is shown at would move the grid


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, make in MAKERS.items():
        make(folder / name)
    return folder


def sampled(path, interval=None, fps=4.0):
    request = FramesRequest(path, path.stat().st_size, fps, max_frames=20, short_side=448, interval=interval)
    return read_sampled_frames(request)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(("start", "stop"), THIRDS)
def test_frames_and_windows_are_those_of_the_cut_file(files, tmp_path, name, start, stop):
    path, alone = files / name, tmp_path / "alone.mp4"
    start += 0.1 if name in STARTS_AT_100_MS and start == 0 else 0
    interval = Interval(start, stop)
    inside = cut(path, alone, start, stop)
    assert len(inside) >= 3
    part, whole = sampled(path, interval), sampled(alone)
    assert part.suspect is None
    assert whole.suspect is None
    assert part.arrays.keys() == whole.arrays.keys()
    for key in ("pixels", "number", "size", "num_frames"):
        assert np.array_equal(part.arrays[key], whole.arrays[key]), key
    for key in ("time", "fps"):
        assert np.allclose(part.arrays[key], whole.arrays[key], atol=1e-3), key  # Matroska has milliseconds
    num_frames = int(part.arrays["num_frames"][0])
    assert num_frames == len(inside)
    starts = tuple(np.unique(window_starts(part.arrays["number"], num_frames, 16)).tolist())
    found = read_windows(WindowRequest(path, num_frames, starts, 16, 32, interval))
    assert np.array_equal(found, read_windows(WindowRequest(alone, num_frames, starts, 16, 32)))
    middle = read_windows(WindowRequest(path, None, None, 16, 32, interval))
    assert np.array_equal(middle, read_windows(WindowRequest(alone, None, None, 16, 32)))


@pytest.mark.parametrize("name", sorted(MAKERS.keys() - {"trimmed_by_edit_list.mp4"}))
def test_intervals_that_meet_share_no_frame_and_lose_none(files, name):
    """Each frame shows its number, so that it is known which one was decoded."""
    numbers = []
    for start, stop in THIRDS:
        with open_video(files / name) as video:
            clip = clip_frames(video, Interval(start, stop))
            own = range(clip.first, clip.first + len(clip.times_F))
            for number, found in zip(own, read_frames(video, own), strict=True):
                assert np.abs(found.astype(float) - picture(number)).mean() < 8  # the next frame: 13 and more
            numbers += own
    assert numbers == list(range(13 if name.startswith("variable") else 40))


I3D = I3dSettings(
    kind="i3d", weights="random", seed=1, calibrate_on="clips", calibration_clips=3, size=32, precision="fp32"
)
NAMES = ["first.mp4", "second.mp4", "third.mp4"]


def run_stages(source, out, short_side):
    """Table, calibrated weights, frames and motion of all clips that a folder or a table of clips names."""
    index_videos.run(out / "videos.json", shard=0, shards=1, kind="folder", made=[], source=[source], mapping=[])
    write_json(out / "captions.json", {"splits": {"train": NAMES}})
    import_weights.run(out / "weights.safetensors", I3D, [out / "videos.json"], [out / "captions.json"])
    sampling = SamplingSettings(
        fps=5.0, max_frames=20, short_side=short_side, window=16, time_limit=60.0, on_bad_video="record"
    )
    decode_frames.run(out / "videos.json", out / "frames.zarr", sampling, threads=1)
    extract_i3d.run(
        videos=out / "videos.json",
        frames=out / "frames.zarr" / "zarr.json",
        weights=out / "weights.safetensors",
        out=out / "motion.zarr",
        settings=I3D,
        window=16,
        time_limit=60.0,
        threads=1,
        decoders=1,
    )


# Where groups are open PyAV reads the file and decord the cut ones, and the two do not scale alike.
@pytest.mark.parametrize(("name", "short_side"), [("b_frames.mp4", 40), ("open_groups.mkv", 448)])
def test_artifacts_of_intervals_are_those_of_cut_files_to_the_byte(files, tmp_path, name, short_side):
    parts, alone = tmp_path / "parts", tmp_path / "alone"
    for folder in (parts, alone, alone / "files"):
        folder.mkdir()
    rows = ["video,start,stop,id"]
    for clip, (start, stop) in zip(NAMES, THIRDS, strict=True):
        rows.append(f"{files / name},{start},{'' if stop is None else stop},{clip}")
        cut(files / name, alone / "files" / clip, start, stop)
    (parts / "clips.csv").write_text("\n".join(rows) + "\n")
    run_stages(parts / "clips.csv", parts, short_side)
    run_stages(alone / "files", alone, short_side)
    table = json.loads((parts / "videos.json").read_text())
    assert [{key: entry.get(key) for key in ("id", "start", "stop")} for entry in table["videos"]] == [
        {"id": "first.mp4", "start": 0.0, "stop": 1.0},
        {"id": "second.mp4", "start": 1.0, "stop": 2.3},
        {"id": "third.mp4", "start": 2.3, "stop": None},
    ]
    frames = read(parts / "frames.zarr", FRAMES)
    assert frames.array("num_frames").tolist() == [10, 13, 17]
    assert frames.video("second.mp4", ["number"])["number"].tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert read(parts / "motion.zarr", MOTION).video("third.mp4")["window_start"].tolist() == [0] * 8 + [1]
    assert (parts / "weights.safetensors").read_bytes() == (alone / "weights.safetensors").read_bytes()
    for store in ("frames.zarr", "motion.zarr"):
        assert (parts / store / "zarr.json").read_bytes() == (alone / store / "zarr.json").read_bytes()

"""What becomes of every video of the corpus, by the command line: right frames, a suspicion, or the reason why not.

Frames are compared with those that PyAV gives when it decodes a file from its first frame to its last, one thread, with
nothing of this project in between.
"""

import json
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from process_memory import measure
from video_corpus import BAD, GOOD, HOURS_3, picture, write

from pipeline.artifact import read, write_json
from pipeline.models.i3d import InceptionI3d, calibrate, load_i3d, normalise, randomise
from pipeline.schemas import FRAMES, MOTION
from pipeline.video.windows import WindowRequest, read_windows, square_within_margin
from pipeline.weights.saving import save_weights

pytestmark = pytest.mark.slow

SAMPLING = {
    "fps": 10.0,
    "max_frames": 20,
    "short_side": 448,
    "window": 16,
    "time_limit": 60.0,
    "on_bad_video": "record",
}
I3D = {
    "kind": "i3d",
    "weights": "random",
    "seed": 1,
    "calibrate_on": "clips",
    "calibration_clips": 4,
    "size": 32,
    "precision": "fp32",
}
LIMIT = 1e9  # bytes, of all the processes of a stage together

# Pixel levels, of 255. decord and PyAV have a build of FFmpeg each. For most files the two agree to the last bit.
# Where they do not, it is swscale's conversion to RGB: decord's goes through a filter graph, which scales colours that
# are stored at half the size bicubically and rounds more finely (10 bits, interlaced and odd sizes). That is 1.4 in the
# mean and 20 at edges at most. A frame that is one off differs by 13 and more in the mean.
MEAN_TOLERANCE, TOLERANCE = 2.0, 24

LONG_GOP = {"preset": "ultrafast", "threads": "1", "g": "100000", "sc_threshold": "0"}

UNREADABLE = "cut off or damaged: it begins as a video file does, but its index cannot be read"
JOIN = "its clock falls back, as in joined files: 1 (later times are counted on)"
OUTCOMES = {
    **dict.fromkeys(GOOD, "ok"),
    "audio_only.mp4": "no video in it, audio only",
    "begins_late.ts": "suspect: FFmpeg said",
    "bit_flips.ts": "suspect: damaged among those decoded: 1; FFmpeg said",
    "bit_flips_1.mp4": "suspect: frames lost among those decoded: 1; damaged among those decoded: 1; FFmpeg said",
    "bit_flips_2.mp4": "ok",  # they make another valid picture: nobody can tell, and PyAV shows the same
    "bit_flips_3.mp4": "suspect: damaged among those decoded: 3; FFmpeg said",
    "bit_flips_b_frames.mp4": "suspect: damaged among those decoded: 2; FFmpeg said",
    "bit_flips_hevc.mp4": "suspect: frames lost among those decoded: 1",
    "bit_flips_index.mp4": "no video frame in it (h264: sps_id 13 out of range)",
    "bit_flips_mjpeg.avi": "frame 26 of 40 cannot be decoded: the file is damaged or cut off",
    "bit_flips_mpeg4.avi": "frame 8 of 39 cannot be decoded: the file is damaged or cut off",
    "bit_flips_vp9.webm": "suspect: FFmpeg said",
    "cut_off.avi": UNREADABLE,
    "cut_off.gif": "suspect: FFmpeg said",
    "cut_off.mkv": "suspect: FFmpeg said",
    "cut_off.ts": "ok",  # half of a transport stream is a whole one: it has no index, and nothing counts its frames
    "cut_off_with_index.mp4": "suspect: its header counts 60 frames, the file holds 31; FFmpeg said",
    "cut_off_without_index.mp4": UNREADABLE,
    "empty.mp4": "the file is empty (0 bytes)",
    "header_only.mp4": UNREADABLE,
    "hole_of_zeros.mp4": "frame 34 of 60 cannot be decoded: the file is damaged or cut off",
    "joined.ts": f"suspect: {JOIN}; FFmpeg said",
    "picture_bomb.gif": "no video frame in it (IMGUTILS: Picture size 20000x20000 is invalid)",
    "random_bytes.mp4": "not a video file",
    "size_changes.ts": f"suspect: {JOIN}; FFmpeg said",
    "sound_begins_late.ts": f"suspect: {JOIN}; FFmpeg said",
    "text.mp4": "not a video file",
    "too_few_in_index.mp4": "suspect: its header counts 30 frames, the file holds 20; FFmpeg said",
    "too_many_in_header.avi": "suspect: its header counts 300 frames, the file holds 30",
    "too_many_in_header.mp4": "suspect: its header counts 300 frames, the file holds 30",
    "unknown_colours.mov": "the colours of a frame cannot be converted (Operation not supported): the file is damaged, "
    "or of a rare kind",
    "too_many_in_total.avi": "ok",  # the total is for players that show a bar: FFmpeg does not read it
}


def windows_of_pictures() -> np.ndarray:
    """Windows to calibrate random weights on: real ones, and noise, or BatchNorm would blow rounding errors up."""
    generator = np.random.default_rng(0)
    real = [[square_within_margin(picture(start + number), 32) for number in range(16)] for start in (0, 16, 24)]
    noise = [generator.integers(0, 20 * (n + 1), (16, 32, 32, 3), dtype=np.uint8) for n in range(12)]
    return np.stack([*map(np.stack, real), *noise])


def index(folder: Path, out: Path) -> None:
    files = sorted(folder.iterdir())
    videos = [{"id": path.name, "path": path.name, "size": path.stat().st_size} for path in files]
    write_json(out, {"root": str(folder), "videos": videos})


def run_stage(stage: str, **flags: object):
    """Run a stage by its command line; gives its memory. Its messages are shown where the test fails."""
    parts = [str(part) for name, value in flags.items() for part in (f"--{name.replace('_', '-')}", value)]
    peak = measure([sys.executable, "-m", "pipeline", stage, *parts])
    print(peak.output)
    assert peak.code == 0, f"{stage} ended with {peak.code}"
    assert "Traceback" not in peak.output
    return peak


def decode(folder: Path, threads: int):
    flags = {"videos": folder / "videos.json", "settings": json.dumps(SAMPLING), "threads": threads}
    return run_stage("decode_frames", **flags, out=folder / "frames.zarr")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """The files, both stages run over them, and what memory they took."""
    folder = tmp_path_factory.mktemp("corpus")
    files = folder / "files"
    files.mkdir()
    for name, make in {**GOOD, **BAD}.items():
        make(files / name)
    index(files, folder / "videos.json")
    torch.set_num_threads(1)
    model = InceptionI3d()
    randomise(model, seed=1)
    calibrate(model, normalise(torch.from_numpy(windows_of_pictures())), batch_size=15)
    save_weights(model.state_dict(), folder / "weights.safetensors", {})
    decoding = decode(folder, threads=1)
    extraction = run_stage(
        "extract_i3d",
        videos=folder / "videos.json",
        frames=folder / "frames.zarr",
        weights=folder / "weights.safetensors",
        settings=json.dumps(I3D),
        window=16,
        time_limit=60,
        threads=1,
        decoders=1,
        out=folder / "motion.zarr",
    )
    return SimpleNamespace(
        files=files,
        model=load_i3d(folder / "weights.safetensors"),
        frames=read(folder / "frames.zarr", FRAMES),
        motion=read(folder / "motion.zarr", MOTION),
        decoding=decoding,
        extraction=extraction,
    )


def outcomes_of(artifact) -> dict[str, str]:
    """For each video `ok`, `suspect: why`, or the reason why it was left out; what FFmpeg said itself is left off."""
    suspect = {
        name: f"suspect: {re.sub('FFmpeg said.*', 'FFmpeg said', why)}" for name, why in artifact.suspect.items()
    }
    return {**dict.fromkeys(artifact.ids, "ok"), **suspect, **artifact.failed}


def decode_in_order(path: Path):
    """All frames by PyAV, as players do: what cannot be decoded is skipped."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                print(f"{path.name}: {error}")
            else:
                yield from frames


# What players make of a frame, written out, so that the one who reads a file's matrix is not the one who checks it.
SHOWN = {
    "mirrored.mp4": np.fliplr,
    "mirrored_and_turned.mp4": lambda image: image[::-1, ::-1].swapaxes(0, 1),
    "rotated_90.mp4": lambda image: np.rot90(image, 3),
    "rotated_180.mp4": lambda image: np.rot90(image, 2),
    "rotated_270.mp4": np.rot90,
}
JOINED = {"joined.ts", "size_changes.ts", "sound_begins_late.ts"}  # ten frames a second, each part with its own clock


def rgb(name, frame, size_hw=None) -> np.ndarray:
    """The colours of a frame of this file, as it is shown, and scaled."""
    show = SHOWN.get(name, np.asarray)
    if size_hw is not None:
        lies = show(np.empty((1, 2, 3))).shape[0] == 2
        height, width = size_hw[::-1] if lies else size_hw
        if (height, width) != (frame.height, frame.width):
            frame = frame.reformat(width, height, interpolation="BICUBIC")
    return np.ascontiguousarray(show(frame.to_ndarray(format="rgb24")))


def times_in_order(path: Path) -> np.ndarray:
    """When players show each frame, in seconds."""
    times = np.array([frame.time for frame in decode_in_order(path)])
    if path.name in JOINED:
        return times[0] + np.arange(len(times)) / 10
    if path.suffix == ".avi":  # it has no times: they are guessed, and exchanged by B-frames
        return np.sort(times)
    assert (np.diff(times) >= 0).all()
    return times


def test_the_encoders_are_there():
    """PyAV's wheels bring them all; a build without one has to change this test and the corpus."""
    needed = {"libx264", "libx265", "libvpx", "libvpx-vp9", "libsvtav1", "mpeg4", "mpeg2video", "mjpeg", "gif"}
    needed |= {"prores_ks", "flv", "wmv2", "aac"}
    missing = {name for name in needed if name not in av.codec.codecs_available}
    assert missing == set()


def test_an_encoder_leaves_the_priority_of_its_caller_alone(tmp_path):
    before = os.sched_getscheduler(0)
    write(tmp_path / "av1.mp4", range(2), "libsvtav1", codec_options={"preset": "12"})
    assert os.sched_getscheduler(0) == before


def test_every_video_has_its_outcome(corpus):
    found = outcomes_of(corpus.frames)
    print("\n".join(f"{name:<28}{outcome}" for name, outcome in sorted(found.items())))
    assert len(found) >= 24
    assert found == OUTCOMES


def test_the_windows_have_the_same_outcomes(corpus):
    assert outcomes_of(corpus.motion) == OUTCOMES


@pytest.mark.parametrize("name", sorted({**GOOD, **BAD}))
def test_frames_and_times_are_those_of_pyav(corpus, name):
    if name in corpus.frames.failed:
        assert name in BAD
        return
    stored = corpus.frames.video(name)
    height, width = stored["size"][0].tolist()
    numbers = stored["number"].tolist()
    times = times_in_order(corpus.files / name)
    # From the first frame on, because readers differ in what they take for 0 in a transport stream.
    since_first, stored_since_first = times - times[0], stored["time"] - stored["time"][0]
    if name in corpus.frames.suspect and len(times) < stored["num_frames"][0]:  # lost frames count, but are not shown
        numbers = np.abs(since_first[:, None] - stored_since_first).argmin(axis=0).tolist()
    else:
        assert len(times) == stored["num_frames"][0]
    np.testing.assert_allclose(stored_since_first, since_first[numbers], atol=1e-4)
    pixels = stored["pixels"].reshape(-1, height, width, 3)
    in_order = enumerate(decode_in_order(corpus.files / name))
    expected = np.stack([rgb(name, frame, (height, width)) for number, frame in in_order if number in numbers])
    difference = np.abs(pixels.astype(int) - expected)
    assert difference.mean(axis=(1, 2, 3)).max() < MEAN_TOLERANCE
    assert difference.max() <= TOLERANCE


def test_a_frame_too_early_or_late_would_be_noticed():
    for number in range(19):
        assert np.abs(picture(number).astype(int) - picture(number + 1)).mean() > 6 * MEAN_TOLERANCE


@pytest.mark.parametrize("name", sorted({**GOOD, **BAD}))
def test_windows_are_those_of_pyav_and_motion_is_theirs(corpus, name):
    if name in corpus.motion.failed:
        assert name in BAD
        return
    rows, num_frames = corpus.motion.video(name), int(corpus.frames.video(name, ["num_frames"])["num_frames"][0])
    starts = rows["window_start"].tolist()
    once = tuple(sorted(set(starts)))
    windows = read_windows(WindowRequest(corpus.files / name, num_frames, once, 16, 32))
    with torch.no_grad():
        features = corpus.model.extract_features(normalise(torch.from_numpy(windows))).mean(dim=2).flatten(1).numpy()
    expected = features[[once.index(start) for start in starts]]
    np.testing.assert_allclose(rows["motion"], expected, rtol=1e-3, atol=1e-3)  # half precision keeps 11 bits
    if name in corpus.motion.suspect:
        return  # in place of a lost frame its window shows the one before, which PyAV does not
    numbers = np.minimum(np.array(once)[:, None] + np.arange(16), num_frames - 1)
    in_order = enumerate(decode_in_order(corpus.files / name))
    cut = {number: square_within_margin(rgb(name, frame), 32) for number, frame in in_order if number in numbers}
    difference = np.abs(windows.astype(int) - np.array([[cut[number] for number in of] for of in numbers.tolist()]))
    assert difference.mean(axis=(2, 3, 4)).max() < MEAN_TOLERANCE


@pytest.mark.parametrize("name", [*SHOWN, "tilted.mp4"])
def test_what_was_filmed_upright_stands_upright(corpus, name):
    """Against what was drawn."""
    stored = corpus.frames.video(name)
    upright = SHOWN.get(name, np.asarray)(picture(int(stored["number"][-1])))
    assert stored["size"][0].tolist() == list(upright.shape[:2])
    last = stored["pixels"].reshape(-1, *upright.shape)[-1]
    assert np.abs(last.astype(int) - upright).mean() < 8  # the encoder and its halved colours
    for mirrored in (upright, upright[:, ::-1]):
        for turns in range(4):
            other = np.rot90(mirrored, turns)
            if other.shape == upright.shape and not np.array_equal(other, upright):
                assert np.abs(last.astype(int) - other).mean() > 15  # one ramp of three colours the other way round


def test_the_still_is_three_hours_long(corpus):
    stored = corpus.frames.video("still_of_3_hours.mp4")
    assert stored["num_frames"].tolist() == [HOURS_3]
    assert stored["time"][[0, -1]].tolist() == [0, HOURS_3 - 1]
    assert len(stored["number"]) == 20


def test_peaks_of_memory(corpus):
    """All processes of a stage together, with an 8K video, a long one of full HD and one of three hours among them."""
    for stage, peak in (("decode_frames", corpus.decoding), ("extract_i3d", corpus.extraction)):
        highest = sorted((round(one / 1e6) for one in peak.highest.values()), reverse=True)
        print(f"{stage}: {peak.total / 1e6:.0f} MB, workers {peak.workers / 1e6:.0f} MB; VmHWM of each: {highest}")
    assert 30e6 < corpus.decoding.total < LIMIT  # Python and NumPy alone take 30 MB
    assert 30e6 < corpus.extraction.total < LIMIT


def test_memory_does_not_grow_with_the_length(tmp_path):
    """The same bar moves for 500 and for 5,000 frames, of which 20 are kept."""
    peaks = []
    for times in (1, 10):
        folder = tmp_path / str(times)
        (folder / "files").mkdir(parents=True)
        write(folder / "files" / "v.mp4", range(500 * times), size_hw=(180, 320), rate=25, codec_options=LONG_GOP)
        index(folder / "files", folder / "videos.json")
        peaks.append(decode(folder, threads=1))
    print([round(peak.total / 1e6) for peak in peaks])
    # Times and positions of the frames are kept for all, at some tens of bytes a frame.
    assert [len(peak.highest) for peak in peaks] == [2, 2]  # the stage and its worker
    assert sum(peaks[1].highest.values()) - sum(peaks[0].highest.values()) < 15e6

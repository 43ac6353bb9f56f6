"""Files that call frames key frames that are none, and files whose colours come with their first packet."""

import struct

import av
import numpy as np
import pytest

from pipeline.video import decoding
from pipeline.video.decoding import open_video, read_frames
from pipeline.video.windows import WindowRequest, read_windows

SINGLE_KEYS = {"g": "30", "sc_threshold": "0", "bf": "0"}
X265 = {"x265-params": "log-level=none:keyint=30:min-keyint=30:scenecut=0:bframes=0"}
REFRESHED = {"x264-params": "intra-refresh=1:keyint=30:scenecut=0:bframes=0"}
CIF = (144, 176)  # H.263 has few sizes


def without_key_table(path):
    """An MP4 file without a table of key frames says that every frame is one."""
    content = path.read_bytes()
    assert content.count(b"stss") == 1
    path.write_bytes(content.replace(b"stss", b"free"))


def with_all_indexed_as_keys(path):
    """Let the index of an AVI file say that of every frame."""
    content = bytearray(path.read_bytes())
    start = content.index(b"idx1") + 8
    for entry in range(start, start + struct.unpack_from("<I", content, start - 4)[0], 16):
        struct.pack_into("<I", content, entry + 4, 0x10)
    path.write_bytes(content)


def frames_in_order(path):
    """What players show, by a decoder that begins at the file's first packet."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


KINDS = {
    "refreshed by and by.mp4": ("libx264", REFRESHED, None),
    "refreshed by and by.mkv": ("libx264", REFRESHED, None),
    "all keys.mp4": ("libx265", X265, without_key_table),
    "all keys mpeg4.mp4": ("mpeg4", SINGLE_KEYS, without_key_table),
    "all keys.3gp": ("h263", SINGLE_KEYS, without_key_table),
    "all keys.mov": ("mpeg2video", SINGLE_KEYS, without_key_table),
    "all keys.avi": ("libx264", SINGLE_KEYS, with_all_indexed_as_keys),
}


@pytest.mark.parametrize("reading", ["decord where it suits", "PyAV"])
@pytest.mark.parametrize("name", KINDS)
def test_decoding_begins_only_at_true_key_frames(tmp_path, make_video, monkeypatch, name, reading):
    codec, codec_options, spoil = KINDS[name]
    path = tmp_path / name
    make_video(path, 90, codec=codec, codec_options=codec_options, rate=25, size_hw=CIF)
    if spoil is not None:
        spoil(path)
    if reading == "PyAV":
        monkeypatch.setattr(decoding, "suits", lambda *_: False)
    expected = frames_in_order(path)
    for numbers in ([50], [89], [3, 17, 31, 45, 59, 73, 87]):
        video = open_video(path)
        found = read_frames(video, numbers)
        assert np.abs(found.astype(int) - expected[numbers]).mean(axis=(1, 2, 3)).max() < 0.5
        assert video.faults.reason() is None
    windows = read_windows(WindowRequest(path, 90, (40, 64), 16, CIF))
    difference = np.abs(windows.astype(int) - np.stack([expected[40:56], expected[64:80]]))
    assert difference.mean(axis=(2, 3, 4)).max() < 0.5


def test_true_key_frames_are_sought(tmp_path, make_video, monkeypatch):
    """A check that always failed would be noticed here, because all files would be decoded in order."""
    path = tmp_path / "v.mp4"
    make_video(path, 90, codec_options={"g": "30", "bf": "2", "sc_threshold": "0"}, rate=25)
    monkeypatch.setattr(decoding, "suits", lambda *_: False)
    with open_video(path) as video:
        starts = []
        run = video._run
        monkeypatch.setattr(video, "_run", lambda key: starts.append(key) or run(key))
        read_frames(video, [50, 89])
        assert starts == [0, 30, 60]
        assert video.key_F[[29, 30, 89]].tolist() == [0, 30, 60]


def test_only_needed_key_frames_are_tried_and_each_once(tmp_path, make_video, monkeypatch):
    path = tmp_path / "v.mp4"
    make_video(path, 90, codec_options={"g": "30", "bf": "2", "sc_threshold": "0"}, rate=25)
    tried = []
    decodes_alone = decoding.decodes_alone
    monkeypatch.setattr(
        decoding, "decodes_alone", lambda packets, pts: tried.append(pts) or decodes_alone(packets, pts)
    )
    with open_video(path) as video:
        pts_F = video.pts_F
        read_frames(video, [3, 29, 30, 31])
        assert tried == []
        read_frames(video, [3, 70, 80])
        assert tried == [pts_F[60]]
    with open_video(path) as video:  # what was found out is remembered for the next clip of the file
        read_frames(video, [40, 70])
        assert tried == [pts_F[60], pts_F[30]]
    assert video.true_keys == {0: True, 30: True, 60: True}


def test_right_frames_are_not_overwritten_by_wrong_ones(tmp_path, make_video, monkeypatch):
    """After a complaint decord is asked again, because chance must not choose between two that are right."""
    path = tmp_path / "v.mp4"
    make_video(path, 30, size_hw=(96, 128))
    expected = read_frames(open_video(path), [4, 9])

    def complaining_and_late(path, numbers, *request):
        return decoding_reader(path, [number + 1 for number in numbers], *request)[0], True

    decoding_reader = decoding.read_with_decord
    monkeypatch.setattr(decoding, "read_with_decord", complaining_and_late)
    assert np.array_equal(read_frames(open_video(path), [4, 9]), expected)


def write_numbers_of_colours(path, codec, palettes):
    """Write frames that show entries of palettes [256, 4] (alpha, then red, green, blue), one palette a frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 80, "pal8"
        for number, palette in enumerate(palettes):
            image = np.full((48, 80), 10, np.uint8)
            image[:, number * 2 : number * 2 + 8] = 200
            container.mux(stream.encode(av.VideoFrame.from_ndarray((image, palette), format="pal8")))
        container.mux(stream.encode())


def palette_of(shift):
    ramp = np.arange(256)
    return np.stack([np.full(256, 255), ramp, 255 - ramp, (ramp + shift) % 256], axis=1).astype(np.uint8)


@pytest.mark.parametrize("changes", [False, True])
@pytest.mark.parametrize("name", ["v.avi", "v.mov"])
def test_colours_that_come_with_the_first_packet_are_kept(tmp_path, name, changes):
    path = tmp_path / name
    write_numbers_of_colours(path, "rawvideo", [palette_of(number * changes) for number in range(30)])
    expected = frames_in_order(path)
    assert expected[20, 0, 42].tolist() == [200, 55, (200 + 20 * (changes and name == "v.avi")) % 256]
    for _ in range(2):  # the second time, what the packets told is remembered
        for numbers in (range(30), [29], [3, 20], [20, 3]):
            with open_video(path) as video:
                assert np.array_equal(read_frames(video, numbers), expected[list(numbers)])
                assert np.array_equal(read_frames(video, numbers), expected[list(numbers)])


@pytest.mark.parametrize(("name", "codec"), [("grey.mov", "rawvideo"), ("grey.avi", "rawvideo"), ("runs.mov", "qtrle")])
def test_grey_frames_are_grey(tmp_path, name, codec):
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 80, "gray"
        for number in range(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 80), 90 + number, np.uint8), "gray")))
        container.mux(stream.encode())
    found = read_frames(open_video(path), [0, 11])
    assert np.abs(found.astype(int) - np.array([90, 101])[:, None, None, None]).max() <= 1

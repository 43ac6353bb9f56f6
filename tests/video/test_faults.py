"""Which files are suspect: the damaged ones, and none of those that cameras and encoders write."""

import random
from types import SimpleNamespace

import av
import numpy as np
import pytest

from pipeline.errors import VideoError
from pipeline.video import decoding
from pipeline.video.decoding import open_video, read_frames
from pipeline.video.decord_reading import read_with_decord
from pipeline.video.faults import Faults, is_of_others
from pipeline.video.fragments import has_fragments


def faults_of(path):
    """What is said of a file that is read from its first frame to its last."""
    video = open_video(path)
    read_frames(video, range(len(video)))
    return video.faults.reason()


def flip_bits(path, seed, how_many=3):
    """In the middle of the file, where the pictures are."""
    content = bytearray(path.read_bytes())
    draw = random.Random(seed)
    for _ in range(how_many):
        content[draw.randrange(len(content) // 5, len(content) * 4 // 5)] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "codec", "codec_options"),
    [
        ("plain.mp4", "libx264", {}),
        ("open-gop.mp4", "libx264", {"x264-params": "open-gop=1:bframes=3:b-adapt=0:scenecut=0:keyint=15"}),
        ("refreshed.mp4", "libx264", {"x264-params": "intra-refresh=1:keyint=20"}),
        ("b-frames.mkv", "libx264", {"bf": "3", "g": "20"}),
        ("open-gop.mkv", "libx265", {"x265-params": "keyint=15:min-keyint=15:log-level=none"}),
        ("hidden frames.webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16", "b": "200k"}),
        ("hidden frames vp9.webm", "libvpx-vp9", {"auto-alt-ref": "1", "lag-in-frames": "16"}),
        ("b-frames.avi", "mpeg4", {"bf": "2"}),
        ("stream.mpg", "mpeg2video", {"bf": "2", "g": "12"}),
        ("stream.ts", "mpeg2video", {"bf": "2", "g": "12"}),
        ("stills.avi", "mjpeg", {"strict": "unofficial"}),
    ],
)
def test_good_files_are_not_suspect(tmp_path, make_video, name, codec, codec_options):
    make_video(tmp_path / name, 60, codec=codec, codec_options=codec_options, rate=25)
    assert faults_of(tmp_path / name) is None
    video = open_video(tmp_path / name)
    expected = read_frames(video, range(60))
    for numbers in ([0, 59], [31, 47], [16, 44, 58]):  # from other key frames
        assert np.array_equal(read_frames(video, numbers), expected[numbers])
    assert video.faults.reason() is None


def test_varying_rates_and_camera_clips_are_not_suspect(tmp_path, make_video, camera_clips):
    for name in ("v.mp4", "v.mkv", "v.avi"):
        make_video(tmp_path / name, 6, times_ms=[0, 40, 80, 480, 520, 2000], codec="mpeg4")
        assert faults_of(tmp_path / name) is None
    assert {name: faults_of(path) for name, path in camera_clips.items()} == dict.fromkeys(camera_clips)


@pytest.mark.parametrize(("name", "codec"), [("v.mp4", "libx264"), ("v.avi", "mpeg4"), ("v.mpg", "mpeg2video")])
def test_flipped_bits_are_noticed(tmp_path, make_video, name, codec):
    """Nearly always: not every flipped bit makes a picture that cannot be."""
    whole = tmp_path / f"whole {name}"
    make_video(whole, 40, codec=codec, size_hw=(96, 128))
    expected = read_frames(open_video(whole), range(40))
    noticed = unnoticed = 0
    for seed in range(10):
        damaged = tmp_path / name
        damaged.write_bytes(whole.read_bytes())
        flip_bits(damaged, seed)
        told = []
        for _ in range(2):
            try:
                video = open_video(damaged)
                frames = read_frames(video, range(len(video)))
                told.append(video.faults.reason())
                is_same = frames.shape == expected.shape and np.array_equal(frames, expected)
            except VideoError as error:
                told.append(str(error))
                is_same = False
        assert told[0] == told[1]
        noticed += told[0] is not None
        unnoticed += told[0] is None and not is_same
    assert noticed >= 5
    assert unnoticed <= 2


def test_a_header_that_counts_more_frames_than_there_are(tmp_path, make_video):
    path = tmp_path / "v.avi"
    make_video(path, 20, codec="mpeg4")
    content = bytearray(path.read_bytes())
    length = content.index(b"strh") + 8 + 32
    assert int.from_bytes(content[length : length + 4], "little") == 20
    content[length : length + 4] = (300).to_bytes(4, "little")
    path.write_bytes(content)
    assert faults_of(path) == "its header counts 300 frames, the file holds 20"


def test_a_matroska_file_that_ends_early(tmp_path, make_video):
    path = tmp_path / "v.mkv"
    make_video(path, 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert faults_of(path) == "FFmpeg said: matroska,webm: File ended prematurely"


def test_a_lost_frame_is_shown_as_the_one_before_it_only_where_that_is_asked_for(tmp_path, make_video):
    path = tmp_path / "v.avi"
    make_video(path, 20, codec="mjpeg", codec_options={"strict": "unofficial"})
    expected = read_frames(open_video(path), range(20))
    content = bytearray(path.read_bytes())
    start = content.index(b"movi")
    for _ in range(8):
        start = content.index(b"00dc", start + 4)
    size = int.from_bytes(content[start + 4 : start + 8], "little")
    content[start + 8 : start + 8 + size] = bytes(size)  # the eighth frame
    path.write_bytes(content)
    video = open_video(path)
    with pytest.raises(VideoError, match="frame 7 of 20 cannot be decoded"):
        read_frames(video, [6, 7, 8])
    assert np.array_equal(read_frames(open_video(path), [6, 8]), expected[[6, 8]])
    video = open_video(path)
    found = read_frames(video, [6, 7, 8], stand_ins=True)
    assert np.array_equal(found, expected[[6, 6, 8]])
    assert video.faults.reason().startswith("frames lost among those decoded: 1; FFmpeg said: mjpeg: ")


@pytest.mark.parametrize(
    ("name", "message", "expected"),
    [
        ("aac", "invalid band type", True),
        ("mp3float", "Header missing", True),
        ("Vorbis parser", "Invalid packet", True),
        ("mpegts", "Packet corrupt (stream = 1, dts = 141910).", True),
        ("mov,mp4,m4a,3gp,3g2,mj2", "stream 2, offset 0x30: partial file", True),
        ("mpegts", "Packet corrupt (stream = 0, dts = 141910).", False),
        ("mpegts", "PES packet size mismatch", False),
        ("h264", "error while decoding MB 4 2, bytestream -6", False),
        ("matroska,webm", "File ended prematurely at pos. 1234", False),
        ("IMGUTILS", "Picture size 20000x20000 is invalid", False),
        ("h264", "2 bitstream errors", False),
    ],
)
def test_what_is_said_of_sound_is_told_from_what_is_said_of_the_video(name, message, expected):
    assert is_of_others(name, message, 0) is expected
    assert is_of_others(name, message, 7) is (expected or "stream = 0" in message)


def write_with_sound(path, codec, **options):
    with av.open(str(path), "w", options=options) as container:
        video = container.add_stream("libx264", rate=25, options={"g": "12", "preset": "ultrafast"})
        video.height, video.width, video.pix_fmt = 48, 80, "yuv420p"
        sound = container.add_stream(codec, rate=48000)
        noise = np.random.default_rng(0).normal(0, 6000, (1, 40 * 1920)).astype(np.int16)
        for number in range(40):
            image = np.full((48, 80, 3), 5 * number, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(image)))
            frame = av.AudioFrame.from_ndarray(noise[:, 1920 * number :][:, :1920].copy(), format="s16", layout="mono")
            frame.rate = 48000
            container.mux(sound.encode(frame))
        for stream in (video, sound):
            container.mux(stream.encode())


def spoil_sound(path):
    """Write noise over the packets of sound, or say that a transport stream lost some of them."""
    content, draw = bytearray(path.read_bytes()), random.Random(2)
    if path.suffix == ".ts":
        for start in range(0, len(content), 188):
            if (content[start + 1] & 0x1F) << 8 | content[start + 2] == 0x101 and draw.random() < 0.3:
                content[start + 1] |= 0x80
    else:
        with av.open(str(path)) as container:
            packets = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.pos]
        for start, size in packets:
            for _ in range(4):
                content[start + draw.randrange(4, size)] = draw.randrange(256)
    path.write_bytes(content)


@pytest.mark.parametrize(("name", "codec"), [("v.ts", "mp2"), ("v.mp4", "aac"), ("v.mkv", "aac"), ("v.mkv", "ac3")])
def test_damaged_sound_is_no_fault_of_the_video(tmp_path, monkeypatch, name, codec):
    path, by_decord = tmp_path / name, []
    write_with_sound(path, codec)
    expected = read_frames(open_video(path), range(40))
    spoil_sound(path)

    def noting(*request):
        by_decord.append(read_with_decord(*request))
        return by_decord[-1]

    monkeypatch.setattr(decoding, "read_with_decord", noting)
    video = open_video(path)
    assert np.array_equal(read_frames(video, range(40)), expected)
    assert video.faults.reason() is None
    assert by_decord == ([] if name == "v.ts" else [(True, False)])


@pytest.mark.parametrize("name", ["v.mp4", "v.mov"])
@pytest.mark.parametrize("flags", ["frag_keyframe", "frag_keyframe+faststart", "frag_every_frame", "empty_moov"])
def test_a_header_that_counts_the_frames_before_the_fragments_is_no_fault(tmp_path, make_video, name, flags):
    path = tmp_path / name
    make_video(path, 40, codec_options={"g": "10"}, options={"movflags": flags})
    assert has_fragments(path)
    assert len(open_video(path)) == 40
    assert faults_of(path) is None


def test_a_file_without_fragments_has_none(tmp_path, make_video):
    for flags in ("faststart", "use_metadata_tags"):
        make_video(tmp_path / "v.mp4", 5, options={"movflags": flags})
        assert not has_fragments(tmp_path / "v.mp4")
    for content in (b"", b"\0" * 40, b"\0\0\0\1mdat" + b"\xff" * 8, b"\xff" * 9):
        (tmp_path / "odd.mp4").write_bytes(content)
        assert not has_fragments(tmp_path / "odd.mp4")


def test_what_pyav_raises_where_a_stream_began_late_is_the_end():
    """It reads what lies behind its list of streams, so that no file does it every time."""

    def demux(stream):
        yield from ["one", "two"]
        raise IndexError("list index out of range")

    faults = Faults()
    assert list(faults.packets(SimpleNamespace(demux=demux), None)) == ["one", "two"]
    assert faults.message is None

"""Small sound videos in many containers and codecs, to be damaged; each shows the corpus's bar and ground."""

from collections.abc import Callable
from pathlib import Path

from videos.video_corpus import B_FRAMES, STEADY, X264, X265, made, turned, write_late_sound

Maker = Callable[[Path], None]
NUM_FRAMES = 24
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}
GROUPS = {**X264, "g": "8"}
OPEN_GROUPS = {**STEADY, "preset": "ultrafast", "x264-params": "open-gop=1:keyint=8:bframes=2:scenecut=0"}
TIMES_MS = [0, 40, 80, 480, 520, 2000, 2040, 2100, 2500, 2600, 2700, 2800]


def _made(codec: str = "libx264", num_frames: int = NUM_FRAMES, **how: object) -> Maker:
    return made(num_frames, codec, **how)


def _turned(path: Path) -> None:
    _made(codec_options=GROUPS)(path)
    path.write_bytes(turned(1)(path.read_bytes()))


BASES: dict[str, Maker] = {
    "b_frames.mp4": _made(codec_options=B_FRAMES),
    "b_frames.mkv": _made(codec_options=B_FRAMES),
    "b_frames.avi": _made(codec_options=B_FRAMES),
    "b_frames.ts": _made(codec_options=B_FRAMES),
    "ffv1.mkv": _made("ffv1", codec_options=STEADY),
    "flv.flv": _made("flv", codec_options=STEADY),
    "fragments.mp4": _made(codec_options=GROUPS, options=FRAGMENTS),
    "front_index.mp4": _made(codec_options=GROUPS, options={"movflags": "faststart"}),
    "gif.gif": _made("gif", pix_fmt="rgb8"),
    "groups.mov": _made(codec_options=GROUPS),
    "h263.3gp": _made("h263", size_hw=(96, 128), codec_options=STEADY),
    "hevc.mp4": _made("libx265", codec_options=X265),
    "hevc.mkv": _made("libx265", codec_options=X265),
    "huffyuv.avi": _made("huffyuv", pix_fmt="yuv422p", codec_options=STEADY),
    "late_sound.ts": write_late_sound,
    "mjpeg.avi": _made("mjpeg", pix_fmt="yuvj420p", codec_options=STEADY),
    "mjpeg.mov": _made("mjpeg", pix_fmt="yuvj420p", codec_options=STEADY),
    "mpeg1.mpg": _made("mpeg1video", rate=25, codec_options=STEADY),
    "mpeg2.mpg": _made("mpeg2video", rate=25, codec_options=STEADY),
    "mpeg2.ts": _made("mpeg2video", rate=25, codec_options=STEADY),
    "mpeg2.mxf": _made("mpeg2video", rate=25, codec_options=STEADY),
    "mpeg4.avi": _made("mpeg4", codec_options={**STEADY, "bf": "2"}),
    "mpeg4.mp4": _made("mpeg4", codec_options=STEADY),
    "open_groups.mkv": _made(codec_options=OPEN_GROUPS),
    "prores.mov": _made("prores_ks", pix_fmt="yuv422p10le", codec_options=STEADY),
    "raw.avi": _made("rawvideo", 8, codec_options=STEADY),
    "turned.mp4": _turned,
    "variable.mkv": _made(num_frames=len(TIMES_MS), times_ms=TIMES_MS),
    "variable.mp4": _made(num_frames=len(TIMES_MS), times_ms=TIMES_MS),
    "vp8.webm": _made("libvpx", codec_options=STEADY),
    "vp9.webm": _made("libvpx-vp9", codec_options={**STEADY, "deadline": "realtime", "cpu-used": "8"}),
    "wmv.wmv": _made("wmv2", codec_options=STEADY),
}


def make_bases(folder: Path) -> dict[str, bytes]:
    """Write the sound videos into a folder; gives the content of each by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in BASES.items():
        make(folder / name)
    return {name: (folder / name).read_bytes() for name in BASES}

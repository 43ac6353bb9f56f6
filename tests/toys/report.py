"""Small clips, stores and a reader of pages for the tests of the report."""

import base64
import io
import re
from html.parser import HTMLParser

import av
import numpy as np

from pipeline.artifact import create
from pipeline.config import ReportSettings
from toys import videos

VOID = {"meta", "br", "hr", "img", "input", "link"}
CODECS = {"mp4": "libx264", "webm": "libvpx-vp9", "avi": "mpeg4"}


def encode(path, width=64, height=48, seconds=1.0, fps=10, codec=None):
    """Write a video whose grey level rises with time."""
    levels = np.linspace(0, 255, round(seconds * fps))
    images = (np.full((height, width, 3), level, np.uint8) for level in levels)
    videos.encode(path, images, fps, codec or CODECS[path.suffix[1:]])


def decode(uri):
    """Media type, codec, sizes and times of the frames of a data: URI."""
    media_type, content = re.fullmatch(r"data:(video/\w+);base64,(.*)", uri).groups()
    with av.open(io.BytesIO(base64.b64decode(content))) as file:
        frames = list(file.decode(video=0))
        return (
            media_type,
            file.streams.video[0].codec.name,
            (frames[0].width, frames[0].height),
            [f.time for f in frames],
        )


def seen_in(path):
    """Container, codec, sizes and times of the frames of a file."""
    with av.open(path) as file:
        frames = list(file.decode(video=0))
        size = frames[0].width, frames[0].height
        return file.format.name.split(",")[0], file.streams.video[0].codec.name, size, [f.time for f in frames]


def report_of(experiments, **given):
    """Settings of a report of these experiments, without anything optional that is not given."""
    plain = {"akg": False, "clip_scores": None, "published": [], "explanations": []}
    return ReportSettings(experiments=experiments, **plain | given)


class Page(HTMLParser):
    """Checks nesting; collects elements and the text outside of styles and scripts."""

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def make_store(path, schema, ids, failed, rows, suspect=None):
    with create(path, schema, ids=ids, stage=schema.stage, settings={}, inputs={}) as writer:
        for video_id in writer.remaining:
            if video_id in failed:
                writer.fail(video_id, failed[video_id])
            else:
                writer.append(video_id, (suspect or {}).get(video_id), **rows)


FRAME_ROWS = {
    "pixels": np.zeros((2, 3), np.uint8),
    "number": np.array([0]),
    "time": np.array([0.0]),
    "size": np.array([[1, 2]]),
    "num_frames": np.array([1]),
    "fps": np.array([10.0]),
}
MOTION_ROWS = {"motion": np.zeros((1, 4)), "window_start": np.array([0])}

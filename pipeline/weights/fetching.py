"""Fetch weights that a config names by URL: once, checked, and kept in `weights/` of the working folder.

The jobs run in that folder, so every machine of a cluster sees it, and a file can be put there by hand. A file's path
holds the digest it must have: two files of one name never collide, and a changed digest is another file.
"""

import logging
import re
import time
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import pooch

from pipeline.config.types import Weights, WeightsUrl
from pipeline.errors import PipelineError
from pipeline.jobs.progress import SECONDS_BETWEEN_LINES

log = logging.getLogger(__name__)

CACHE = Path("weights")
TIMEOUT = 30  # seconds to wait for a byte
CHUNK_BYTES = 2**20
MAX_NAME = 100  # characters; file systems take 255 bytes


def locate_weights(weights: Weights) -> str:
    """Find what a config's `weights:` names on this machine; a URL is downloaded.

    Args:
        weights: A URL with its digest; or `random`, a file or a tag, which stay as they are.

    Returns:
        The path of the downloaded file, which has the digest; or the word as it was.

    Raises:
        PipelineError: if the URL cannot be fetched, or its file has another digest.
    """
    return weights if isinstance(weights, str) else str(fetch(weights))


def fetch(source: WeightsUrl) -> Path:
    """Download the file at a URL, unless it is in the cache with its digest, and return its path.

    A download becomes the file only when it is complete and its digest is right.

    Raises:
        PipelineError: if there is no network, no such file, or one with another digest.
    """
    path = cached_path(source)

    def download(url: str, partial: str, owner: Any) -> None:
        log.info("fetching %s", url)
        pooch.HTTPDownloader(progressbar=_Progress(), chunk_size=CHUNK_BYTES, timeout=TIMEOUT)(url, partial, owner)
        found = pooch.file_hash(partial)
        if found != source.sha256:
            raise PipelineError(
                f"weights: {url} has SHA-256 {found}, expected {source.sha256}: it was thrown away; correct `sha256` "
                "if you trust the file, or name another"
            )

    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(source.url, f"sha256:{source.sha256}", path.name, path.parent, downloader=download)
    except OSError as error:  # a full disk, or what requests raises without a network or for an error of a server
        response = getattr(error, "response", None)
        if response is not None:
            response.close()  # pooch leaves the connection open
        raise PipelineError(
            f"weights: {source.url} cannot be fetched ({_reason(error)}){_damaged(path)}; expected a file with SHA-256 "
            f"{source.sha256}: try again with a network, put the file at {path}, or name a file of this machine"
        ) from error
    return path


def cached_path(source: WeightsUrl) -> Path:
    """Path at which the file of a URL is kept: `weights/<start of its digest>/<its name>`."""
    name = PurePosixPath(unquote(urlsplit(source.url).path)).name
    name = re.sub(r"[^A-Za-z0-9._-]", "_", name).strip(".")[-MAX_NAME:]
    return CACHE / source.sha256[:16] / (name or "weights")


def _reason(error: BaseException) -> str:
    """The innermost cause of an error, in one line; requests wraps `Connection refused` three times."""
    while error.__context__ is not None:
        error = error.__context__
    first_line = (str(error).splitlines() or [""])[0]
    return first_line.partition(" for url")[0] or type(error).__name__


def _damaged(path: Path) -> str:
    return f", and the copy at {path} is damaged: it has SHA-256 {pooch.file_hash(str(path))}" if path.is_file() else ""


class _Progress:
    """Logs how far a download is every few seconds, by the interface that pooch wants of a progress bar."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self.last = time.monotonic()

    def update(self, num_bytes: int) -> None:
        self.done += num_bytes
        if time.monotonic() - self.last >= SECONDS_BETWEEN_LINES:
            self.last = time.monotonic()
            of = f" of {self.total / 1e6:.0f}" if self.total else ""
            log.info("fetched %.0f%s MB", self.done / 1e6, of)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        log.info("fetched %.1f MB", self.done / 1e6)

"""Read a clip that lies as numbered pictures in a folder. Every frame is looked at: one bad frame costs the clip.

Shapes: H height, W width, C colours (3, or 1 for grey).
"""

import io
import os
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pipeline.errors import VideoError
from pipeline.video.frame_files import FrameFiles

COLOURS = {"RGB": 3, "L": 1}  # pictures of other kinds (palettes, CMYK) become RGB
MOST_TOLD = 3  # missing frames in one message


def frame_sizes(path: Path, files: FrameFiles) -> dict[int, int]:
    """Bytes of each frame in a folder, by its number.

    Args:
        path: The folder.
        files: Which of its files are frames.
    """
    entries = {entry.name: entry for entry in os.scandir(path)}
    return {number: entries[files.name(number)].stat().st_size for number in files.numbers(entries)}


@lru_cache(maxsize=1)  # of a long video in one folder, hundreds of runs are clips
def _sizes(path: Path, pattern: str, changed: int) -> dict[int, int]:  # noqa: ARG001, tells when it is another one
    return frame_sizes(path, FrameFiles(pattern))


class FrameFolder:
    """The frames of a folder. `len()` is their number.

    Args:
        path: The folder.
        files: Which of its files are the frames.
        num_bytes: Bytes that all of them took when the folder was indexed.

    Attributes:
        shape_HWC: Shape of the first frame, which all others must have.

    Raises:
        VideoError: if a frame is missing or there is none, or the first one cannot be read. The messages name no
            folder, because they become part of an artifact, where no machine's paths belong.
    """

    def __init__(self, path: Path, files: FrameFiles, num_bytes: int) -> None:
        if not path.is_dir():
            raise VideoError("no such folder of frames")
        sizes = _sizes(path, files.pattern, path.stat().st_mtime_ns)
        present = sorted(sizes)
        missing = files.missing(present)
        wanted = files.wanted(present)
        if not wanted:
            raise VideoError(f"the folder holds no frame that is called as {files.pattern}")
        if missing:
            told = ", ".join(files.name(number) for number in missing[:MOST_TOLD])
            more = f" and {len(missing) - MOST_TOLD} more" if len(missing) > MOST_TOLD else ""
            raise VideoError(f"{len(missing)} of its {len(wanted)} frames are missing: {told}{more}")
        self.paths = [path / files.name(number) for number in wanted]
        if (now := sum(sizes.values())) != num_bytes:
            raise VideoError(
                f"its frames have {now} bytes, they had {num_bytes} when they were indexed: index it again"
            )
        first = self._open(0, self.paths[0].read_bytes())
        self.shape_HWC = (first.height, first.width, COLOURS.get(first.mode, 3))

    def __len__(self) -> int:
        return len(self.paths)

    def jpeg(self, number: int) -> bytes | None:
        """A frame's file as it is, if it is a whole JPEG of the clip's shape; None if it must be encoded anew.

        Raises:
            VideoError: if it cannot be read, or is of another size than the first.
        """
        content = self.paths[number].read_bytes()
        image = self._open(number, content)
        self._check_size(number, image)
        if image.format != "JPEG" or COLOURS.get(image.mode) != self.shape_HWC[2]:
            return None
        image.draft(image.mode, (image.width // 8, image.height // 8))  # decodes all its bytes, and few of its pixels
        self._load(number, image)
        return content

    def pixels(self, number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        """The pixels of a frame, scaled (bicubic) to a height and width: u1 `[H, W, C]`.

        Raises:
            VideoError: as `jpeg`.
        """
        image = self._open(number, self.paths[number].read_bytes())
        self._check_size(number, image)
        self._load(number, image)
        image = image.convert("RGB" if self.shape_HWC[2] == 3 else "L")
        if (image.height, image.width) != size_hw:
            image = image.resize(size_hw[::-1], Image.Resampling.BICUBIC)
        return np.asarray(image).reshape(*size_hw, self.shape_HWC[2])

    def _open(self, number: int, content: bytes) -> Image.Image:
        try:
            with warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning):
                return Image.open(io.BytesIO(content))
        except (
            OSError,
            SyntaxError,
            ValueError,
            Image.DecompressionBombError,
            Image.DecompressionBombWarning,
        ) as error:
            raise self._unreadable(number, error) from error

    def _load(self, number: int, image: Image.Image) -> None:
        try:
            image.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise self._unreadable(number, error) from error

    def _check_size(self, number: int, image: Image.Image) -> None:
        height, width, _ = self.shape_HWC
        if (image.height, image.width) != (height, width):
            raise VideoError(
                f"frame {self.paths[number].name} has {image.width} x {image.height} pixels, the first one {width} x "
                f"{height}"
            )

    def _unreadable(self, number: int, error: BaseException) -> VideoError:
        kind = "is no picture" if isinstance(error, UnidentifiedImageError) else "cannot be read"
        told = "" if isinstance(error, UnidentifiedImageError) else f" ({' '.join(str(error).split())})"
        return VideoError(f"frame {self.paths[number].name} {kind}{told}")

"""Frames that show their own number, and ffmpeg's tool, which encodes them and says what it shows of a file.

Shapes: F frames, H height, W width, C colour.
"""

import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BITS = 8
SIZE_HW = (64, 96)

Pixels = NDArray[np.uint8]


def picture(number: int) -> Pixels:
    """Draw a number in binary above, its highest bit on the left, and below a ramp whose corners differ."""
    height, width = SIZE_HW
    image = np.zeros((height, width, 3), np.uint8)
    for bit, columns in enumerate(np.array_split(np.arange(width), BITS)):
        image[: height // 2, columns] = 230 if number >> (BITS - 1 - bit) & 1 else 25
    image[height // 2 :, :, 0] = np.linspace(40, 215, width)
    image[height // 2 :, :, 1] = np.linspace(50, 210, height - height // 2)[:, None]
    image[height // 2 :, :, 2] = np.linspace(190, 60, width)
    return image


def numbers_of(frames_FHWC: Pixels) -> list[int]:
    """Read the numbers of frames that stand as they were drawn."""
    height, width = frames_FHWC.shape[1:3]
    band = frames_FHWC[:, height // 8 : height * 3 // 8].mean(axis=(1, 3))
    cells = [band[:, columns[len(columns) // 4 : -(len(columns) // 4)]] for columns in _columns(width)]
    bits = np.stack([cell.mean(axis=1) > 128 for cell in cells], axis=1)
    return [int(number) for number in np.packbits(bits, axis=1)[:, 0]]


def _columns(width: int) -> list[NDArray[np.int64]]:
    return np.array_split(np.arange(width), BITS)


def ffmpeg(*arguments: str | Path, feed: bytes | None = None) -> bytes:
    """Run ffmpeg; its output. It fails with what ffmpeg said."""
    command = ["ffmpeg", "-hide_banner", "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, input=feed, capture_output=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr.decode(errors='replace')}"
    return done.stdout


def encode(
    path: Path, numbers: Iterable[int], *options: str, rate: int = 10, size_hw: tuple[int, int] = SIZE_HW
) -> None:
    """Encode the frames of these numbers with options of ffmpeg."""
    height, width = SIZE_HW
    pixels = b"".join(picture(number).tobytes() for number in numbers)
    source = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(rate), "-i", "-")
    ffmpeg(*source, *options, path, feed=pixels)


def shown(path: Path, stream: int, size_hw: tuple[int, int]) -> Pixels:
    """All frames that ffmpeg shows of a file's stream, in its order: mirrored, turned, and each once."""
    height, width = size_hw
    scaled = ("-vf", f"scale={width}:{height}:flags=bicubic", "-fps_mode", "passthrough")
    command = ["ffmpeg", "-v", "quiet", "-i", str(path), "-map", f"0:{stream}", *scaled]
    raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True).stdout
    num_frames = len(raw) // (height * width * 3)
    return np.frombuffer(raw, np.uint8)[: num_frames * height * width * 3].reshape(num_frames, height, width, 3)

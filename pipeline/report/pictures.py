"""Write the pictures that the page shows as files beside it, which a browser loads as they come near the screen."""

from hashlib import sha256
from pathlib import Path

from pipeline.jobs.storage import replaced

DIGITS = 16  # of a picture's digest, which are its name


def write_picture(folder: Path, content: bytes, suffix: str) -> str:
    """Write a picture beside the page; equal pictures are one file.

    Args:
        folder: Folder of the page.
        content: The picture, as the file holds it.
        suffix: Suffix of the file, such as `.jpg`.

    Returns:
        Its address below the folder.
    """
    address = f"media/pictures/{sha256(content).hexdigest()[:DIGITS]}{suffix}"
    with replaced(folder / address) as new:
        new.write_bytes(content)
    return address

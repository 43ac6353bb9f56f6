"""Say what a file is that was named as weights: people get pointers, pages and other programs' checkpoints instead."""

import re
from collections.abc import Iterable
from pathlib import Path

from pipeline.weights.archive import globals_and_texts, names_in_zip

LFS = b"version https://git-lfs.github.com/spec/"
MAGIC_OF_TORCH = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the number that files of torch.save begin with before 1.6
STARTS = {  # first bytes of files that hold no weights which could be read here
    b"\x1f\x8b": "a gzip archive: unpack it, and name the file in it",
    b"BZh": "a bzip2 archive: unpack it, and name the file in it",
    b"\xfd7zXZ": "an xz archive: unpack it, and name the file in it",
    b"7z\xbc\xaf": "a 7z archive: unpack it, and name the file in it",
    b"Rar!": "a RAR archive: unpack it, and name the file in it",
    b"\x89HDF": "an HDF5 file, as Keras writes it",
    b"\x93NUMPY": "a NumPy array",
    b"%PDF": "a PDF page",
}
# Names by which other libraries call the tensors of the same networks.
NAMINGS = {
    "transformers": re.compile(
        r"^(?:\w+\.)?(?:vision_model|text_model)\.|\.encoder\.layers?\.\d+\.|\.self_attn\.[qkv]_proj\.|^model\.(?:backbone\.conv_encoder|class_embed)"
    ),
    "detectron2": re.compile(r"^(?:backbone\.(?:bottom_up|fpn_(?:lateral|output))|proposal_generator)\b"),
    "mmdetection": re.compile(r"^(?:bbox_head|rpn_head\.rpn_conv|neck)\."),
    "mmaction": re.compile(r"^(?:cls_head|backbone\.layer\d\.\d\.conv\d\.conv)\."),
    "ultralytics": re.compile(r"^model\.\d+\.conv\."),
    "torchvision's classifiers": re.compile(r"^fc\.(?:weight|bias)$"),
}


def foreign(path: Path) -> str | None:
    """What a file or folder is, and what to do, if its first bytes say that it holds no weights; otherwise None."""
    if path.is_dir():
        held = sorted(inner.name for inner in path.iterdir() if inner.suffix in (".safetensors", ".bin", ".pt", ".pth"))
        return f"a folder: name the file in it{f', such as {held[0]}' if held else ''}"
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        return "an empty file: fetch it again"
    if start.startswith(LFS):
        size = re.search(rb"^size (\d+)", start, re.MULTILINE)
        of = f" to a file of {int(size[1]) / 1e6:,.1f} MB" if size else ""
        return f"a Git LFS pointer{of}, and not that file: fetch it with `git lfs pull`, or download the file itself"
    for first, what in STARTS.items():
        if start.startswith(first):
            return what
    if start.startswith(b"PK"):
        return _of_zip(path)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if re.match(rb"<(?:!doctype html|html|head|\?xml|!--)", text):
        return "an HTML page, as a download gives that wants a confirmation or a login: download the file itself"
    if text.startswith((b"{", b"[")):
        return "JSON text, as an index or a configuration is: name the file of the weights beside it"
    if _is_text(start) and not start.startswith((b"(", b"c")):  # as pickles of protocol 0 do, which are text
        return f"a text that begins {start.decode()[:40]!r}"
    return None


def _of_zip(path: Path) -> str | None:
    names = names_in_zip(path)
    if not names:
        return "an archive that is cut off: it begins as files of torch.save do, and its end is missing; fetch it again"
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return None
    if any(name.endswith("model.json") for name in names) and any("/tensors/" in name for name in names):
        return "a TorchScript archive of PyTorch before 1.4: save its state dict with torch.save"
    what = "of NumPy arrays" if names[0].endswith(".npy") else f"with {', '.join(names[:3])}"
    return f"a zip archive {what}: unpack it, and name the file of the weights"


def _is_text(start: bytes) -> bool:
    try:
        return start.decode().isprintable() or not re.search(rb"[\x00-\x08\x0e-\x1f]", start)
    except UnicodeDecodeError:
        return False


def of_pickle(path: Path) -> str:
    """What a file is that looks like a pickle, or like nothing known, and that PyTorch does not read as tensors."""
    with path.open("rb") as file:
        start = file.read(32)
    wanted, texts = globals_and_texts(path)
    lightning = "a Lightning checkpoint" if "pytorch-lightning_version" in texts else ""
    others = [name for name in wanted if not name.startswith(("torch.", "collections."))]
    objects = f"holds objects of {some_names(others)}, which were not made" if others else "is damaged or cut off"
    if start.startswith(b"PK") or MAGIC_OF_TORCH in start:
        return f"{lightning or 'a file of torch.save'} that {objects}"
    if start[:1] != b"\x80" and not wanted:
        return f"a file of {path.stat().st_size:,} bytes that begins as no known kind of weights does"
    if any(name.startswith("numpy.") for name in wanted):
        whose = "detectron2" if {"__author__", "matching_heuristics"} & texts else "detectron2 and Caffe2"
        others = [name for name in others if not name.startswith(("numpy.", "_codecs."))]
        return f"a pickle of NumPy arrays, as of {whose}{f', with objects of {some_names(others)}' if others else ''}"
    return f"a pickle, not written by torch.save, that {objects}"


def some_names(names: Iterable[str], most: int = 3) -> str:
    """The first of some names, each cut to a length that a line can hold."""
    listed = [name[:80] for name in names]
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def naming(names: Iterable[str]) -> str:
    """Whose names the tensors of a file have, as the end of a description; empty if they are no known library's."""
    listed = list(names)
    for library, pattern in NAMINGS.items():
        if any(pattern.search(name) for name in listed):
            return f"in the names of {library}"
    return ""

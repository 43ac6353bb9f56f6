"""Clean the captions of a data set of what no annotator meant, once, before any stage reads them.

CLIP's own tokenizer resolves HTML entities ("&amp;") and the captioner's does not, so they are resolved here: both
towers, and the scores, read one text.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import replace
from html.entities import html5

from pipeline.datasets.annotated import FoundClips, shown
from pipeline.datasets.nulls import is_null_text
from pipeline.vocabulary import without_invisible

ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")


def clean_caption(caption: str) -> str:
    """A caption with its HTML entities resolved, and with single spaces for white space and for what has no width."""
    return " ".join(without_invisible(ENTITY.sub(_resolved, caption)).split())


def _resolved(entity: re.Match[str]) -> str:
    # Of an unknown name, `unescape` would take a known beginning: "&reg" of "rock &reggae;".
    is_known = entity[0].startswith("&#") or entity[0][1:] in html5
    return html.unescape(entity[0]) if is_known else entity[0]


def clean_captions(found: FoundClips) -> FoundClips:
    """Clean all captions of a data set, and leave out those that say no more than `nan` or `NULL`, with a note.

    A video without a caption left is in no split.

    Args:
        found: Captions and splits as the annotations have them.
    """
    cleaned = {clip: [clean_caption(text) for text in texts] for clip, texts in found.captions.items()}
    kept = {clip: [text for text in texts if not is_null_text(text)] for clip, texts in cleaned.items()}
    captions = {clip: texts for clip, texts in kept.items() if texts}
    splits = {split: [clip for clip in clips if clip in captions] for split, clips in found.splits.items()}
    return replace(found, captions=captions, splits=splits, notes=[*found.notes, *_notes(cleaned, kept)])


def _notes(cleaned: Mapping[str, list[str]], kept: Mapping[str, list[str]]) -> list[str]:
    fewer = [clip for clip in cleaned if len(kept[clip]) < len(cleaned[clip])]
    if not fewer:
        return []
    number = sum(len(cleaned[clip]) - len(kept[clip]) for clip in fewer)
    without = [clip for clip in fewer if not kept[clip]]
    more = f"; no caption is left of {shown(without)}" if without else ""
    return [f"captions that say nothing, such as `nan` or `NULL`: {number} are left out, of {shown(fewer)}{more}"]

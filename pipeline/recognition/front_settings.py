"""What of a cast recognizer decides which tokens of clips are stored, for the rule and for whoever reads them.

Two recognizers for which this is equal have equal tokens, so that a training with another fusion, ratio or learning
rate goes on from those that are there. Nothing here needs torch, because the rule asks it.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.recognition.cast_plan import CastOptions, Exchange, Fusion, Stream, needs_of_blocks


def front_settings(recognizer: Mapping[str, Any]) -> dict[str, Any]:
    """What `FrontSettings` is made of.

    Args:
        recognizer: Settings of a cast recognizer, in the form of JSON, with `stored_views`.
    """
    augmentation = recognizer["augmentation"]
    is_mirrored = augmentation["flip"] != "none"  # what a mirrored clip is called is the training's
    return {
        "streams": list(streams_of_front(recognizer["exchange"], recognizer["fusion"])),
        "first_block": recognizer["first_block"],
        "stored_views": recognizer["stored_views"],
        "frames": recognizer["frames"],
        "augmentation": augmentation | {"flip": "keep_labels" if is_mirrored else "none", "mixup": None},
        "short_side": recognizer["views"]["short_side"],
        "precision": recognizer["training"]["precision"],
    }


def streams_of_front(exchange: Exchange, fusion: Fusion) -> tuple[Stream, ...]:
    """The streams whose tokens are needed where the first block with anything trained begins.

    They are the same for any number of blocks behind it, and nothing else of the options counts for them.
    """
    options = CastOptions(False, exchange, "time", "space", False, 1.0, 1, fusion, 0.0)
    return needs_of_blocks(1, options)[0].attend

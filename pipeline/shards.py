"""Which shard a video belongs to: a hash of its id, so that adding videos touches only the shards they fall in."""

import hashlib


def shard_of(video_id: str, shards: int) -> int:
    """Number of the shard (0 to `shards` - 1) that holds this video."""
    return int.from_bytes(hashlib.sha256(video_id.encode()).digest()[:8], "big") % shards


def shard_names(shards: int) -> list[str]:
    """Names of all the shards, as they stand in paths: 000, 001, ..."""
    return [f"{shard:03d}" for shard in range(shards)]

"""Choose a video's shard by a hash of its id, so that adding videos touches only the shards they fall in."""

import hashlib


def shard_of(video_id: str, shards: int) -> int:
    """Number of the shard (0 to `shards` - 1) that holds this video."""
    return int.from_bytes(hashlib.sha256(video_id.encode()).digest()[:8], "big") % shards

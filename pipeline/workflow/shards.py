"""Which shard a video belongs to: a hash of its id, so that adding videos touches only the shards they fall in."""


def shard_names(shards: int) -> list[str]:
    """Names of all the shards, as they stand in paths: 000, 001, ..."""
    return [f"{shard:03d}" for shard in range(shards)]

"""Names of the shards of a data set. `pipeline.datasets.sharding` says which shard a video belongs to."""


def shard_names(shards: int) -> list[str]:
    """The names of all shards as they stand in paths: 000, 001, ... for as many as `shards` says."""
    return [f"{shard:03d}" for shard in range(shards)]

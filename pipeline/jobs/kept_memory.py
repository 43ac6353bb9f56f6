"""Keep the memory of a training step for the next one.

A step of a network on the CPU allocates and frees the same hundreds of megabytes again and again. glibc gives large
blocks back to the system at once, which then clears every page before it is used again: of a convolution's time on maps
of 150 MB, half was spent so (docs/decisions/130).
"""

import ctypes

# Parameters of mallopt(3). A block that is larger than the threshold is mapped by itself, and given back when freed.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
LARGEST = 2**31 - 1  # mallopt takes an int
LARGEST_KEPT = 2**30


def keep_freed_memory() -> bool:
    """Let this process keep what it frees, up to blocks of 1 GiB; returns whether its C library could be told.

    The process keeps the most that it has ever needed at once. Only glibc can be told; elsewhere nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(TRIM_THRESHOLD, LARGEST))

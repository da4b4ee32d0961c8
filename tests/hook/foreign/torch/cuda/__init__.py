from .graphs import CUDAGraph as CUDAGraph
from .graphs import graph as graph

RESERVED = 0


def memory_reserved() -> int:
    """Return the bytes that the allocator has reserved."""
    return RESERVED


def max_memory_allocated() -> int:
    """Return the most bytes that were in use at once."""
    return RESERVED

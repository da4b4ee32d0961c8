"""How graphs are captured, apart from their order: in which phases, and who shares memory.

Both are axes, so that a failure can be told apart: one that goes away once all shapes are warmed up
first points at a workspace that grew during capture (TensorRT-LLM#16319); one that goes away in
separate pools points at graphs that write into each other's blocks.
"""

from collections.abc import Iterable
from enum import StrEnum

from harness.core.errors import UsageError


class CapturePhases(StrEnum):
    """When shapes are warmed up: each just before its capture, or all before the first capture."""

    INTERLEAVED = "interleaved"
    TWO_PHASE = "two-phase"


class PoolSharing(StrEnum):
    """Which graphs may take each other's freed blocks."""

    SHARED = "shared"
    PER_ROLE = "per-role"
    PER_GRAPH = "per-graph"


def pool_name(sharing: PoolSharing, role: str, bs: int) -> str:
    """The pool that a role's graph of one batch size is captured into."""
    match sharing:
        case PoolSharing.SHARED:
            return "shared"
        case PoolSharing.PER_ROLE:
            return role
        case PoolSharing.PER_GRAPH:
            return f"{role}/{bs}"


#: Sizes below the even steps, as servers of language models pad them.
_SMALL = (1, 2, 4, 8)
_STEP = 8


def sizes_up_to(max_bs: int) -> list[int]:
    """Batch sizes to capture: 1, 2, 4, 8, then every eighth, and `max_bs` itself. 256 gives 35.

    Raises UsageError where `max_bs` is below 1.
    """
    if max_bs < 1:
        raise UsageError(f"a largest batch size of {max_bs}: give 1 or more")
    return _take_below(max_bs, (*_SMALL, *range(2 * _STEP, max_bs + 1, _STEP)))


def _take_below(max_bs: int, sizes: Iterable[int]) -> list[int]:
    return sorted({size for size in sizes if size < max_bs} | {max_bs})

"""What a pointer of a captured graph points to: a pure decision over plain values.

A pointer is judged twice: what its block was when capture ended, and what the allocator says now.
Only memory that was certainly somebody's at capture can be reported later. A word that looks like
an address and never was one stays unknown, and unknown is never reported.
"""

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

#: Function, file and line of each frame, innermost first.
Stack = tuple[str, ...]


class Ownership(StrEnum):
    """Whose the memory is that a pointer leads to."""

    POOL = "pool"
    """The graph's own pool."""
    LIVE = "live"
    """A tensor outside the graph's pool, which has lived since capture."""
    FREED = "freed"
    """Nobody's any more: freed since capture."""
    REALLOCATED = "reallocated"
    """Another owner's: freed since capture, and allocated again."""
    UNKNOWN = "unknown"
    """No block of the allocator, or one of which nothing was known at capture."""

    @property
    def dangles(self) -> bool:
        """Whether a replay would use memory that its owner gave up."""
        return self in (Ownership.FREED, Ownership.REALLOCATED)


class Block(NamedTuple):
    """A block of the allocator at one moment."""

    address: int
    size: int
    pool: str
    allocated: bool
    stack: Stack = ()
    """Where it was allocated, if that is known."""

    def contains(self, address: int) -> bool:
        """Tell whether the address lies inside."""
        return self.address <= address < self.address + self.size


class Change(NamedTuple):
    """The allocator gave a block to somebody, or took it back."""

    address: int
    size: int
    is_release: bool
    time: float
    stack: Stack = ()


class MemoryMap:
    """The allocator's blocks at one moment, found by address."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = sorted(blocks, key=lambda block: block.address)
        self._starts = [block.address for block in self._blocks]

    def find(self, address: int) -> Block | None:
        """Return the block that holds the address."""
        place = bisect.bisect_right(self._starts, address) - 1
        if place >= 0 and self._blocks[place].contains(address):
            return self._blocks[place]
        return None

    @property
    def bounds(self) -> tuple[int, int]:
        """The lowest address, and the one past the highest."""
        if not self._blocks:
            return 0, 0
        last = self._blocks[-1]
        return self._starts[0], last.address + last.size


class History:
    """What the allocator did, oldest first. `begins`: changes before this moment may be missing."""

    def __init__(self, changes: Sequence[Change], begins: float) -> None:
        self.begins = begins
        self._changes: dict[int, list[Change]] = {}
        for change in changes:
            self._changes.setdefault(change.address, []).append(change)

    def find_release(self, block: Block, since: float) -> Change | None:
        """Return the first release of the block after a moment."""
        changes = self._changes.get(block.address, ())
        return next((one for one in changes if one.is_release and one.time > since), None)

    def find_allocation(self, block: Block, until: float) -> Change | None:
        """Return the last allocation of the block before a moment."""
        changes = self._changes.get(block.address, ())
        before = [one for one in changes if not one.is_release and one.time <= until]
        return before[-1] if before else None


@dataclass(frozen=True, slots=True)
class Pointer:
    """One address in a captured graph, and whose it was when the capture had ended."""

    kernel: str
    parameter: str
    node: int
    address: int
    block: Block | None
    is_own: bool
    """The block belongs to the graph's own pool."""


@dataclass(frozen=True, slots=True)
class Moments:
    """When a graph's capture began and ended, on the clock of the allocator's history."""

    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Resolution:
    """Whose a pointer's memory is now, and what is known of the change."""

    ownership: Ownership
    allocated: Stack = ()
    freed: Stack = ()
    owner: Stack = ()
    """Where the new owner allocated it."""


def resolve_pointer(
    pointer: Pointer, now: MemoryMap, history: History | None, moments: Moments
) -> Resolution:
    """Decide whose the memory of a pointer is now. Without a history equal blocks count as live."""
    block = pointer.block
    if block is None:
        return Resolution(Ownership.UNKNOWN)
    if pointer.is_own:
        return Resolution(Ownership.POOL, block.stack)
    release = _find_release(block, history, moments)
    if release is None and not block.allocated:
        # Free already when capture ended, and not freed by it: whatever the word means.
        return Resolution(Ownership.UNKNOWN)
    found = now.find(pointer.address)
    if release is None and found is not None and _is_same(block, found):
        return Resolution(Ownership.LIVE, block.stack)
    allocated = block.stack or _find_allocation(block, history, moments)
    freed = release.stack if release else ()
    if found is None or not found.allocated:
        return Resolution(Ownership.FREED, allocated, freed)
    return Resolution(Ownership.REALLOCATED, allocated, freed, found.stack)


def _find_release(block: Block, history: History | None, moments: Moments) -> Change | None:
    if history is None:
        return None
    if block.allocated:
        return history.find_release(block, moments.ended)
    # An owner that let go while the graph was captured.
    release = history.find_release(block, moments.began)
    if release is None or history.find_allocation(block, moments.began) is None:
        return None
    return release


def _find_allocation(block: Block, history: History | None, moments: Moments) -> Stack:
    found = history.find_allocation(block, moments.ended) if history else None
    return found.stack if found else ()


def _is_same(then: Block, now: Block) -> bool:
    return now.allocated and (then.address, then.size) == (now.address, now.size)

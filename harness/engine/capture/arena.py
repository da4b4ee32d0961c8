"""The block allocator under recorded graphs: the CUDA caching allocator's rules that matter.

Pure bookkeeping over offsets. Sizes are round_size up to 512 bytes. Requests up to 1 MiB are served
from 2 MiB segments, those below 10 MiB from 20 MiB ones, larger ones from a segment of their own,
a multiple of 2 MiB. The smallest free block that fits is taken, the lowest of equals; what remains
is split off where it is worth keeping; a freed block joins its free neighbours in the segment.
A segment belongs to the pool that it was reserved for: pools never share blocks.
"""

from collections import Counter
from dataclasses import dataclass, replace

MIB = 1 << 20

ROUNDING = 512
SMALL_REQUEST = MIB
SMALL_SEGMENT = 2 * MIB
MEDIUM_REQUEST = 10 * MIB
MEDIUM_SEGMENT = 20 * MIB
LARGE_ROUNDING = 2 * MIB


class ArenaExhausted(MemoryError):  # noqa: N818 - names what was seen
    """The arena cannot hold one more segment."""


@dataclass(frozen=True, slots=True)
class Block:
    """A span of the arena. `segment`, `small` and `pool` say where it may be joined and reused."""

    offset: int
    size: int
    segment: int
    small: bool
    pool: str


def round_size(nbytes: int) -> int:
    """The block size of a request; a request of nothing takes one unit too."""
    return max(1, -(-nbytes // ROUNDING)) * ROUNDING


def segment_size(size: int) -> int:
    """The segment reserved for a block of `size` bytes that no free block fits."""
    if size <= SMALL_REQUEST:
        return SMALL_SEGMENT
    if size < MEDIUM_REQUEST:
        return MEDIUM_SEGMENT
    return -(-size // LARGE_ROUNDING) * LARGE_ROUNDING


class BlockAllocator:
    """Blocks of one arena of `capacity` bytes. Segments are reserved and never given back."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.reserved = 0
        self.reserved_by_pool: Counter[str] = Counter()
        self.in_use = 0
        self.peak = 0
        self._free: dict[int, Block] = {}
        self._free_ends: dict[int, Block] = {}
        self._used: dict[int, Block] = {}

    def allocate(self, nbytes: int, pool: str = "shared") -> Block:
        """Take a block of a pool. Raises ArenaExhausted where no segment can be added for it."""
        size = round_size(nbytes)
        found = self._best_fit(size, pool) or self._reserve(size, pool)
        self._drop(found)
        block = self._split(found, size)
        self._used[block.offset] = block
        self.in_use += block.size
        self.peak = max(self.peak, self.in_use)
        return block

    def release(self, block: Block) -> None:
        """Give a block back. Raises ValueError where it is not in use."""
        if self._used.pop(block.offset, None) != block:
            raise ValueError(f"block at {block.offset} is not in use")
        self.in_use -= block.size
        before = self._free_ends.get(block.offset)
        after = self._free.get(block.offset + block.size)
        for neighbour in (before, after):
            if neighbour is not None and neighbour.segment == block.segment:
                self._drop(neighbour)
                start = min(block.offset, neighbour.offset)
                block = replace(block, offset=start, size=block.size + neighbour.size)
        self._keep(block)

    def free_blocks(self) -> list[Block]:
        """The free blocks, by offset."""
        return sorted(self._free.values(), key=lambda block: block.offset)

    def _best_fit(self, size: int, pool: str) -> Block | None:
        wanted = (size <= SMALL_REQUEST, pool)
        fitting = (b for b in self._free.values() if (b.small, b.pool) == wanted and b.size >= size)
        return min(fitting, key=lambda block: (block.size, block.offset), default=None)

    def _reserve(self, size: int, pool: str) -> Block:
        wanted = segment_size(size)
        if self.reserved + wanted > self.capacity:
            raise ArenaExhausted(
                f"the arena of {self.capacity} bytes cannot hold {wanted} more; "
                f"{self.in_use} are in use"
            )
        block = Block(self.reserved, wanted, self.reserved, size <= SMALL_REQUEST, pool)
        self.reserved += wanted
        self.reserved_by_pool[pool] += wanted
        self._keep(block)
        return block

    def _split(self, block: Block, size: int) -> Block:
        rest = block.size - size
        worth_keeping = rest >= ROUNDING if block.small else rest > SMALL_REQUEST
        if not worth_keeping:
            return block
        self._keep(replace(block, offset=block.offset + size, size=rest))
        return replace(block, size=size)

    def _keep(self, block: Block) -> None:
        self._free[block.offset] = block
        self._free_ends[block.offset + block.size] = block

    def _drop(self, block: Block) -> None:
        del self._free[block.offset]
        del self._free_ends[block.offset + block.size]

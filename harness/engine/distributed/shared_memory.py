"""Collectives between ranks on the CPU of one host, through memory that they share.

Each rank copies its tensor to a slot of its own, waits for all ranks, and adds up the slots in rank
order, so that every rank gets the same bits. Slots alternate between two halves: a rank that is
already in the next collective writes to the other half, and can enter the one after it only once
every rank has left this one.

The memory is an anonymous file of rank 0, which the others open through /proc: it has no name that
could be left behind. Both collectives are operators of torch, so that recorded graphs hold them.
"""

import functools
import mmap
import os
import platform
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from harness.core.errors import UsageError
from harness.engine.distributed.meeting import HEADER_WORDS, Meeting

SLOT_BYTES = 1 << 20
_HEADER_BYTES = 8 * HEADER_WORDS
_HALVES = 2

#: Open groups by the number that their operators are given.
_groups: dict[int, "SharedMemory"] = {}

# torch leaves its library class without annotations.
_library: Any = torch.library.Library("harness", "DEF")  # type: ignore[no-untyped-call]
_library.define("all_reduce_(Tensor(a!) tensor, int group) -> ()")
_library.define("all_gather_(Tensor(a!) shares, Tensor tensor, int group) -> ()")
_library.impl("all_reduce_", lambda tensor, group: _groups[group].add_up(tensor), "CPU")
_library.impl(
    "all_gather_", lambda shares, tensor, group: _groups[group].gather(shares, tensor), "CPU"
)


class SharedFile:
    """Rank 0's anonymous file, kept open until the other ranks have opened `path`."""

    def __init__(self, size: int) -> None:
        """Raises UsageError on a processor whose stores other cores may see out of order."""
        if platform.machine() not in ("x86_64", "AMD64"):
            raise UsageError(
                f"cpu_collectives 'shared-memory' needs an x86-64 processor, this is "
                f"{platform.machine()}: give cpu_collectives='gloo'"
            )
        self._descriptor = os.memfd_create("harness-collectives")
        os.ftruncate(self._descriptor, _HEADER_BYTES + _HALVES * size * SLOT_BYTES)
        self.path = f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def close(self) -> None:
        """Close the file; its memory lives as long as a rank has it mapped."""
        os.close(self._descriptor)


class SharedMemory:
    """One rank's part of a group."""

    name = "shared-memory"

    def __init__(self, rank: int, size: int, path: str, timeout_s: float) -> None:
        """Map the file that rank 0 opened, and wait until every rank has.

        Raises OSError if rank 0 has ended, RankLate and RankGone.
        """
        descriptor = os.open(path, os.O_RDWR)
        try:
            self._memory = mmap.mmap(descriptor, 0)
        finally:
            os.close(descriptor)
        self._rank = rank
        self._size = size
        words = memoryview(self._memory)[:_HEADER_BYTES].cast("q")
        self._meeting = Meeting(rank, size, words, timeout_s)
        self._group = max(_groups, default=0) + 1
        self._find_slots = functools.cache(self._make_slots)
        self._meeting.arrive()
        _groups[self._group] = self

    def all_reduce(self, tensor: Tensor) -> None:
        """See `Collectives.all_reduce`. Raises RankLate and RankGone."""
        torch.ops.harness.all_reduce_(tensor, self._group)

    def all_gather(self, shares: Tensor, tensor: Tensor) -> None:
        """See `Collectives.all_gather`. Raises RankLate and RankGone."""
        torch.ops.harness.all_gather_(shares, tensor, self._group)

    def add_up(self, tensor: Tensor) -> None:
        """Run the operator `all_reduce_`."""
        for part in _split(tensor.view(-1)):
            slots = self._exchange(part)
            torch.add(slots[0], slots[1], out=part)
            for slot in slots[2:]:
                part.add_(slot)

    def gather(self, shares: Tensor, tensor: Tensor) -> None:
        """Run the operator `all_gather_`."""
        targets = zip(*(_split(share) for share in shares.view(self._size, -1)), strict=True)
        for part, places in zip(_split(tensor.view(-1)), targets, strict=True):
            for place, slot in zip(places, self._exchange(part), strict=True):
                place.copy_(slot)

    def _exchange(self, part: Tensor) -> list[Tensor]:
        """Return every rank's part, by rank; valid until the collective after the next."""
        halves = self._find_slots(part.dtype, part.numel())
        half = halves[self._meeting.next_round % _HALVES]
        half[self._rank].copy_(part)
        self._meeting.arrive()
        return half

    def _make_slots(self, dtype: torch.dtype, count: int) -> list[list[Tensor]]:
        """Return views of `count` elements by half and rank."""
        return [
            [
                torch.frombuffer(
                    self._memory,
                    dtype=dtype,
                    count=count,
                    offset=_HEADER_BYTES + (half * self._size + rank) * SLOT_BYTES,
                )
                for rank in range(self._size)
            ]
            for half in range(_HALVES)
        ]

    def leave(self) -> None:
        """Leave the group for good: a new one costs next to nothing."""
        self.close()

    def close(self) -> None:
        """Leave the group. The memory goes with the last view of it."""
        if _groups.pop(self._group, None) is not None:
            self._find_slots.cache_clear()
            self._meeting.close()


def _split(flat: Tensor) -> Iterator[Tensor]:
    """Yield the pieces of a flat tensor that fit a slot."""
    step = SLOT_BYTES // flat.itemsize
    if len(flat) <= step:
        yield flat
        return
    yield from torch.split(flat, step)

"""Poison and canaries in the arena of recorded graphs.

What may be filled before a replay: blocks that are free, but not where a graph looks for what
another graph left there, which sound code may do; and storages outside the arena that nobody but
graphs holds any more, which a GPU would have freed.
"""

import ctypes
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..audit.findings import Fault, Finding
from ..audit.model import Ownership
from ..audit.recorded_graphs import RecordedAudit
from ..audit.recorded_model import Audited, Watched
from ..audit.spans import Span

if TYPE_CHECKING:
    from ..events import Capture

#: Not a number as any float, -1 as any signed integer.
PATTERN = 0xFF
#: Larger requests are not served from segments of small blocks.
SMALL = 1 << 20
_DATA = "amplify"


class RecordedBlocks:
    """Fills what is free before a replay. `check`: look afterwards whether somebody wrote there."""

    def __init__(self, report: Callable[[Finding], None], *, check: bool) -> None:
        self._report = report
        self._check = check
        self._graphs = RecordedAudit(None, _DATA)
        self._taken: dict[int, tuple[list[Any], list[Span]]] = {}

    def before_capture(self, capture: "Capture") -> None:
        """Called just before capture begins."""
        self._graphs.before_capture(capture)

    def after_capture(self, capture: "Capture") -> None:
        """Called when the graph exists."""
        self._graphs.after_capture(capture)

    def before_replay(self, capture: "Capture") -> None:
        """Take what is free, and fill it."""
        self._give_back(capture)  # of a replay that raised
        arena = capture.memory.arena
        arena.collect()
        handed = [watched.span for watched in self._graphs.list_handed()]
        held = list(take_free_blocks(arena.blocks))
        starts = [(arena.get_address(block), block.size) for block in held]
        free = [Span(start, start + size) for start, size in starts]
        filled = [part for span in free for part in subtract(span, handed)]
        if not self._check:
            filled += [_find_storage(one) for one in self._graphs.list_lost(capture)]
        for span in filled:
            ctypes.memset(span.start, PATTERN, span.end - span.start)
        self._taken[capture.number] = held, filled

    def after_replay(self, capture: "Capture") -> None:
        """Give back what was taken; report what was written by a graph that does not own it."""
        self._graphs.after_replay(capture)
        filled = self._give_back(capture)
        if self._check:
            self._look(capture, filled)

    def _give_back(self, capture: "Capture") -> list[Span]:
        held, filled = self._taken.pop(capture.number, ([], []))
        for block in held:
            capture.memory.arena.blocks.release(block)
        return filled

    def _look(self, capture: "Capture", filled: list[Span]) -> None:
        audited: Audited = capture.data[_DATA]
        written = list(audited.accesses.written)
        for span in [part for one in filled for part in subtract(one, written)]:
            found = ctypes.string_at(span.start, span.end - span.start)
            if found.count(PATTERN) != len(found):
                place = span.start + next(i for i, value in enumerate(found) if value != PATTERN)
                self._report(
                    Finding(
                        Fault.STRAY_WRITE, Ownership.FREED, audited.name, "", "", 0, place,
                        len(found) - found.count(PATTERN),
                    )
                )  # fmt: skip


def take_free_blocks(blocks: Any) -> Iterator[Any]:
    """Allocate all that is free in a BlockAllocator, and nothing that it would have to reserve."""
    while free := blocks.free_blocks():
        first = free[0]
        yield blocks.allocate(min(first.size, SMALL) if first.small else first.size, first.pool)


def subtract(span: Span, others: list[Span]) -> Iterator[Span]:
    """Yield the parts of a span that no other span meets."""
    start = span.start
    for other in sorted(others):
        if other.end <= start or other.start >= span.end:
            continue
        if other.start > start:
            yield Span(start, other.start)
        start = max(start, other.end)
    if start < span.end:
        yield Span(start, span.end)


def _find_storage(watched: Watched) -> Span:
    torch: Any = sys.modules["torch"]
    storage = torch.UntypedStorage._new_with_weak_ptr(watched.handle)
    start = int(storage.data_ptr())
    return Span(start, start + int(storage.nbytes()))

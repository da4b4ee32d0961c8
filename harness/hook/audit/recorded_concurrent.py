"""Two recorded graphs that write the same memory, replayed by two threads at the same time.

Their operators say what they write, and a replay is over when its call returns: that one begins
while another goes on is seen, and needs no experiment.
"""

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .accesses import Access
from .findings import Fault, Finding
from .model import Ownership
from .recorded_model import Audited

if TYPE_CHECKING:
    from ..events import Capture


class ConcurrentReplays:
    """Watches the replays of one process. Reports each pair of graphs once."""

    def __init__(self, report: Callable[[Finding], None]) -> None:
        self._report = report
        self._told: set[frozenset[int]] = set()

    def before_replay(self, capture: "Capture", others: Iterable["Capture"], key: str) -> None:
        """Look whether a graph that writes the same memory is being replayed by another thread."""
        mine: Audited = capture.data[key]
        for other in others:
            pair = frozenset((capture.number, other.number))
            if not other.threads - {threading.get_ident()} or pair in self._told:
                continue
            theirs: Audited = other.data[key]
            if shared := [one for one in mine.accesses.arena if _is_written_by_both(one, theirs)]:
                self._told.add(pair)
                self._report(_make_finding(mine, theirs, shared[0]))


def _is_written_by_both(access: Access, theirs: Audited) -> bool:
    return access.writes and theirs.accesses.written.meets(access.span)


def _make_finding(mine: Audited, theirs: Audited, access: Access) -> Finding:
    return Finding(
        Fault.CONCURRENT,
        Ownership.POOL,
        mine.name,
        access.kernel,
        access.parameter,
        access.node,
        access.span.start,
        access.span.end - access.span.start,
        access.what,
        pool=mine.pool,
        writers=tuple(
            f"{theirs.name}: {kernel}" for kernel in theirs.accesses.list_writers(access.span)[:4]
        ),
    )

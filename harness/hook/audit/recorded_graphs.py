"""The audit of recorded graphs, whose operators say what they read and what they write.

Watched is what a graph needs from outside itself:

- a storage outside the arena. The recorded graph keeps it alive; a CUDA graph would not. If nobody
  but graphs has it any more, it is as good as freed;
- a live block of the arena that no graph ever captured into: memory as outside a graph's pool;
- a live block of a graph's pool that was there before the capture, or that the graph reads and
  never writes: somebody else must fill it before each replay.

Blocks that were free when capture ended are scratch, and a block that its own graph writes is a
result: sound code drops both, and later graphs take them. A block that another graph filled may be
dropped too, as long as no third graph writes there between the two.
"""

import sys
import weakref
from typing import TYPE_CHECKING, Any

from .accesses import Access, Accesses, read_accesses
from .findings import Fault, Finding
from .late_reads import LateReads
from .model import Block, MemoryMap, Ownership, Stack
from .naming import name_graph
from .recorded_concurrent import ConcurrentReplays
from .recorded_model import Audited, Watched
from .results import find_results
from .spans import Span
from .stacks import take_stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..events import Capture

DATA = "audit"
_DEFAULT_POOL = "shared"


class RecordedAudit:
    """Audits the recorded graphs of one process."""

    def __init__(self, report: "Callable[[Finding], None] | None", key: str = DATA) -> None:
        """`report`: None to report nothing. `key`: what is kept with a capture is under it."""
        self.not_judged = 0
        self.spent_for_torch = 0.0
        self._report = report or (lambda _: None)
        self._key = key
        self._graphs: weakref.WeakSet[Capture] = weakref.WeakSet()
        self._before: list[Any] = []
        self._filled: dict[int, tuple[Any, set[int]]] = {}
        self._graph_pools: set[str] = set()
        self._stacks: dict[int, Stack] = {}
        self._late = LateReads(report) if report else None
        self._concurrent = ConcurrentReplays(self._report)
        self._arenas: weakref.WeakSet[Any] = weakref.WeakSet()

    def note_memory(self, memory: Any) -> None:
        """Note from now on who allocates in a RecordedMemory."""
        if memory.arena not in self._arenas:
            self._arenas.add(memory.arena)
            self._note_stacks(memory.arena)

    def before_capture(self, capture: "Capture") -> None:
        """Note which blocks are in use already."""
        if self._late:
            self._late.end()
        self.note_memory(capture.memory)
        self._before = capture.memory.arena.list_live()
        self._graph_pools.add(str(capture.pool or _DEFAULT_POOL))
        name = name_graph(capture.number)
        capture.data[self._key] = Audited(name, str(capture.pool or _DEFAULT_POOL), Accesses(), [])

    def after_capture(self, capture: "Capture") -> int:
        """Find what the graph needs from outside. Return how many accesses were looked at."""
        arena, audited = capture.memory.arena, capture.data[self._key]
        if capture.error is not None:
            return 0
        audited.accesses = read_accesses(capture.graph, arena)
        audited.results = find_results(capture.graph, arena)
        self._graphs.add(capture)
        audited.watched += self._watch_storages(audited)
        audited.watched += self._watch_blocks(capture.number, audited, arena)
        return len(audited.accesses.arena) + len(audited.accesses.outside)

    def before_replay(self, capture: "Capture") -> None:
        """Report what the graph needs and has lost."""
        if self._late:
            self._late.end()
        audited: Audited = capture.data[self._key]
        self._concurrent.before_replay(capture, [*self._graphs], self._key)
        for watched in audited.watched:
            if not watched.is_reported and (fault := self._find_fault(watched)):
                watched.is_reported = True
                self._report(self._make_finding(audited, watched, fault, capture))

    def after_replay(self, capture: "Capture") -> None:
        """Note whose values are now where other graphs look for theirs."""
        mine: Audited = capture.data[self._key]
        for other in self._graphs:
            for watched in other.data[self._key].watched:
                if watched.fillers and mine.accesses.written.meets(watched.span):
                    watched.last_writer = capture.number
        if self._late:
            every = [other.data[self._key] for other in self._graphs]
            self._late.note_replay(capture, mine, every)

    def list_handed(self) -> list[Watched]:
        """Return where graphs look for what other graphs left there."""
        every = (one for graph in self._graphs for one in graph.data[self._key].watched)
        return [one for one in every if one.fillers]

    def list_lost(self, capture: "Capture") -> list[Watched]:
        """Return the storages outside the arena that a graph needs and that only graphs hold."""
        audited: Audited = capture.data[self._key]
        return [
            watched
            for watched in audited.watched
            if watched.entry is None and self._count_owners(watched.handle) <= 0
        ]

    # --- what is watched ---

    def _watch_storages(self, audited: Audited) -> list[Watched]:
        outside = audited.accesses.outside
        return [
            Watched(access, access.span, "", handle=handle)
            for handle, access in outside.items()
            # What nobody else has at once is a constant that the capture made.
            if self._count_owners(handle) > 0
        ]

    def _watch_blocks(self, number: int, audited: Audited, arena: Any) -> list[Watched]:
        entries = {arena.get_address(entry[1]): entry for entry in arena.list_live()}
        blocks = MemoryMap(
            Block(address, block.size, block.pool, True) for address, (_, block) in entries.items()
        )
        first: dict[int, Access] = {}
        read: set[int] = set()
        written: set[int] = set()
        for access in audited.accesses.arena:
            block = blocks.find(access.span.start)
            if block is not None:
                first.setdefault(block.address, access)
                (written if access.writes else read).add(block.address)
        before = {id(entry) for entry in self._before}
        found = []
        for address, access in first.items():
            entry = entries[address]
            is_older = id(entry) in before
            if is_older or (address in read and address not in written):
                found.append(self._watch_block(access, entry, address))
            if address in written:
                self._filled.setdefault(id(entry), (entry, set()))[1].add(number)
        return found

    def _watch_block(self, access: Access, entry: Any, address: int) -> Watched:
        block = entry[1]
        is_graphs = block.pool in self._graph_pools
        fillers = self._filled.get(id(entry), (entry, set()))[1] if is_graphs else set()
        watched = Watched(
            access,
            Span(address, address + block.size),
            block.pool,
            entry,
            allocated=self._stacks.get(address, ()),
            fillers=frozenset(fillers),
        )
        _note_release(entry, watched.freed)
        return watched

    def _note_stacks(self, arena: Any) -> None:
        place, stacks = arena.place, self._stacks

        def place_and_note(*arguments: Any, **keys: Any) -> Any:
            tensor = place(*arguments, **keys)
            stacks[tensor.data_ptr()] = take_stack()
            return tensor

        arena.place = place_and_note

    # --- what is wrong ---

    def _find_fault(self, watched: Watched) -> Fault | None:
        if watched.entry is None:
            return Fault.DANGLING if self._count_owners(watched.handle) <= 0 else None
        if not watched.entry[0].expired():
            return None
        if not watched.fillers:
            return Fault.DANGLING
        last = watched.last_writer
        return Fault.OVERWRITTEN if last is not None and last not in watched.fillers else None

    def _count_owners(self, handle: int) -> int:
        """Return how many tensors of a storage are held by anything but recorded graphs."""
        torch: Any = sys.modules["torch"]
        count: int = torch._C._storage_Use_Count(handle)
        held: int = sum(graph.data[self._key].accesses.held[handle] for graph in self._graphs)
        # One more belongs to the storage's object in Python.
        return count - 1 - held

    def _make_finding(
        self, audited: Audited, watched: Watched, fault: Fault, capture: "Capture"
    ) -> Finding:
        access = watched.access
        writers = self._list_writers(watched, capture) if watched.entry else []
        taken = bool(writers) or self._is_taken(watched, capture)
        return Finding(
            fault=fault,
            ownership=Ownership.REALLOCATED if taken else Ownership.FREED,
            graph=audited.name,
            kernel=access.kernel,
            parameter=access.parameter,
            node=access.node,
            address=access.span.start,
            bytes=watched.span.end - watched.span.start,
            what=access.what,
            pool=watched.pool,
            allocated=watched.allocated,
            freed=next(iter(watched.freed), ()),
            writers=tuple(writers),
        )

    def _list_writers(self, watched: Watched, capture: "Capture") -> list[str]:
        found = []
        for other in sorted(self._graphs, key=lambda one: one.number):
            audited = other.data[self._key]
            if other is not capture and other.number not in watched.fillers:
                kernels = audited.accesses.list_writers(watched.span)
                found += [f"{audited.name}: {kernel}" for kernel in kernels[:1]]
        return found[:4]

    def _is_taken(self, watched: Watched, capture: "Capture") -> bool:
        if watched.entry is None:
            return False
        arena = capture.memory.arena
        live = ((arena.get_address(block), block.size) for _, block in arena.list_live())
        return any(Span(start, start + size).meets(watched.span) for start, size in live)


def _note_release(entry: Any, stacks: list[Stack]) -> None:
    """Add the stack that drops the last tensor of the entry's storage, when it does."""
    torch: Any = sys.modules["torch"]
    storage = torch.UntypedStorage._new_with_weak_ptr(entry[0].cdata)
    if storage is not None:
        weakref.finalize(storage, lambda: stacks.append(take_stack()))

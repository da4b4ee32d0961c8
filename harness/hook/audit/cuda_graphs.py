"""The audit of CUDA graphs: nodes through the driver, blocks through torch's allocator.

Watched are pointers into blocks that were allocated, outside the graph's own pool, when capture
ended, and into blocks that their owner let go while the graph was captured; and host memory of
tensors. What lies in the graph's own pool is the pool's business: a pointer does not say whether
the graph reads or writes there, and sound graphs share scratch.

A replay is audited only if something was freed since the graph was last found sound.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import allocator
from .concurrent import ConcurrentWrites, Used
from .cuda_device import CudaDevice
from .cuda_nodes import MEMCPY, NodeReader, Word
from .driver_api import Driver
from .findings import Fault, Finding
from .host_memory import HostOwner, find_host_owners
from .model import MemoryMap, Moments, Ownership, Pointer, Resolution, resolve_pointer
from .naming import name_graph

if TYPE_CHECKING:
    from ..events import Capture

DATA = "audit"
_MOST_SHARE = 0.1
_FREE_SECONDS = 0.05
_LOWEST_ADDRESS = 1 << 16


@dataclass(slots=True)
class Audited:
    """What is kept with each graph."""

    name: str
    began: float
    ended: float = 0.0
    pointers: list[Pointer] = field(default_factory=list)
    host: list[tuple[Word, HostOwner]] = field(default_factory=list)
    releases: int = -1
    """Blocks freed in the process when the graph was last found sound."""
    used: Used | None = None
    """Every address of it inside the allocator's memory; None: it could not be read."""


class CudaAudit:
    """Audits the CUDA graphs of one process. Raises DriverError where the driver is too old."""

    def __init__(self, report: Callable[[Finding], None], note: Callable[[str], None]) -> None:
        self._report = report
        self._note = note
        driver = Driver()
        self._reader = NodeReader(driver)
        self._concurrent = ConcurrentWrites(CudaDevice(driver), report)
        self._noted: set[str] = set()
        self._owners: list[HostOwner] = []
        self._first = time.perf_counter()
        self.spent_on_replays = 0.0
        self.spent_for_torch = 0.0
        """Seconds of work that torch does itself where nothing is audited."""
        self.skipped = 0
        """Replays that were not audited, so that the audit does not take over the run."""

    @property
    def not_judged(self) -> int:
        """Words of all graphs so far that may be nobody's, and were left out."""
        return self._reader.not_judged

    def before_capture(self, capture: "Capture") -> None:
        """Note when it begins."""
        self._concurrent.begin_capture()
        name = name_graph(capture.number)
        capture.data[DATA] = Audited(name, allocator.read_time())

    def after_capture(self, capture: "Capture") -> int | None:
        """Read what the graph points to. Return how many words of it were looked at.

        None: there is no graph.
        """
        self._concurrent.end_capture()
        graph, audited = capture.graph, capture.data[DATA]
        if capture.error is not None:
            return None
        audited.ended = allocator.read_time()
        try:
            raw = graph.raw_cuda_graph()
        except RuntimeError as error:
            self._note_once(f"{audited.name} is not audited: {str(error).splitlines()[0]}")
            return 0
        began, before = time.perf_counter(), self._reader.count
        # As torch does at once if a graph is not kept: the first replay must not take longer.
        graph.instantiate()
        self.spent_for_torch += time.perf_counter() - began
        pool = allocator.format_pool(graph.pool())
        now = allocator.read_blocks()
        words = list(self._reader.list_words(raw, *now.bounds))
        audited.pointers = _find_pointers(words, now, pool)
        audited.host = _find_host(words, now, self._owners)
        audited.used = Used(audited.name, pool, _find_used(words, now, pool))
        return self._reader.count - before

    def before_replay(self, capture: "Capture") -> None:
        """Report what the graph points to and has lost."""
        audited: Audited | None = capture.data.get(DATA)
        if audited is None:
            return
        self._check_pointers(audited)
        if audited.used:
            self._concurrent.before_replay(audited.used)

    def after_replay(self, capture: "Capture") -> None:
        """Note on which stream it was launched."""
        audited: Audited | None = capture.data.get(DATA)
        if audited is not None and audited.used:
            self._concurrent.after_replay(audited.used)

    def _check_pointers(self, audited: Audited) -> None:
        if not (audited.pointers or audited.host):
            return
        self._check_host(audited)
        releases = allocator.count_releases()
        if releases == audited.releases or not audited.pointers:
            return
        if self._is_over_budget():
            self.skipped += 1
            return
        began = time.perf_counter()
        self._check_device(audited)
        audited.releases = releases
        self.spent_on_replays += time.perf_counter() - began

    def _is_over_budget(self) -> bool:
        most = _FREE_SECONDS + _MOST_SHARE * (time.perf_counter() - self._first)
        return self.spent_on_replays > most

    def _check_device(self, audited: Audited) -> None:
        began = allocator.read_time()
        now, history = allocator.take_snapshot()
        if history is None:
            self._note_once("the allocator keeps no history: an equal block taken again is missed")
        moments, sound = Moments(audited.began, audited.ended), []
        for pointer in audited.pointers:
            resolution = resolve_pointer(pointer, now, history, moments)
            if resolution.ownership.dangles:
                self._report(_make_finding(audited.name, pointer, resolution))
            else:
                sound.append(pointer)
        audited.pointers = sound
        # The history is short: what was sound until now need not be looked for again.
        audited.ended = max(audited.ended, began)

    def _check_host(self, audited: Audited) -> None:
        for word, owner in [one for one in audited.host if one[1].is_gone]:
            audited.host.remove((word, owner))
            self._report(
                Finding(
                    Fault.DANGLING,
                    Ownership.FREED,
                    audited.name,
                    word.kernel,
                    word.parameter,
                    word.node,
                    word.value,
                    owner.size,
                    f"{owner.what} in host memory",
                    freed=next(iter(owner.freed), ()),
                )
            )

    def _note_once(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self._note(text)


def _find_pointers(words: list[Word], now: MemoryMap, pool: str) -> list[Pointer]:
    """Return the pointers worth watching: the first into each block that is not the pool's."""
    found: dict[int, Pointer] = {}
    for word in words:
        block = now.find(word.value)
        if block is not None and block.pool != pool and block.address not in found:
            found[block.address] = Pointer(
                word.kernel, word.parameter, word.node, word.value, block, False
            )
    return list(found.values())


def _find_used(words: list[Word], now: MemoryMap, pool: str) -> dict[int, Word]:
    """Return the first word of each address in the allocator's memory, the graph's pool first."""
    found = [(word, now.find(word.value)) for word in words]
    inside = [(block.pool != pool, word) for word, block in found if block is not None]
    used: dict[int, Word] = {}
    for _, word in sorted(inside, key=lambda one: one[0]):
        used.setdefault(word.value, word)
    return used


def _find_host(
    words: list[Word], now: MemoryMap, known: list[HostOwner]
) -> list[tuple[Word, HostOwner]]:
    """Return the copies from or to host memory of tensors, and who owns it.

    `known`: owners that were found before; new ones are added, since the search takes 50 ms.
    """
    copies = [
        word
        for word in words
        if word.kernel == MEMCPY and word.value >= _LOWEST_ADDRESS and now.find(word.value) is None
    ]
    addresses = {word.value for word in copies}
    owners = {at: owner for owner in known for at in addresses if owner.holds(at)}
    found = find_host_owners(addresses - owners.keys())
    known[:] = [*(owner for owner in known if not owner.is_gone), *found.values()]
    owners |= found
    return [(word, owners[word.value]) for word in copies if word.value in owners]


def _make_finding(graph: str, pointer: Pointer, found: Resolution) -> Finding:
    block = pointer.block
    assert block is not None
    return Finding(
        Fault.DANGLING,
        found.ownership,
        graph,
        pointer.kernel,
        pointer.parameter,
        pointer.node,
        pointer.address,
        block.size,
        pool=block.pool,
        allocated=allocator.resolve_stack(found.allocated),
        freed=allocator.resolve_stack(found.freed),
        owner=allocator.resolve_stack(found.owner),
    )

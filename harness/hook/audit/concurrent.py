"""Finds two CUDA graphs that write the same memory while nothing orders their replays.

**Not ordered** is observed. An event is recorded behind each replay, and one on the stream of
the next replay before it is launched. If the later event is done and the earlier one is not, the
device has kept the second replay waiting for nothing. So whatever orders two streams, in Python or
in C++, gives no report; a first replay that was over too soon is no proof, and gives none either.

**Both write it** is an experiment upon the suite's own launches: the memory is read before and
after, while the device is idle and other replays wait, and again after a pause without a launch,
so that what somebody else writes meanwhile is not taken for the graph's. Nothing is changed and
nothing launched for it: a bit changed in what a sound graph only reads would spoil its answer, and
launches of its own would spoil what a graph adds up in place. What is written with equal bytes is
missed.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from .cuda_nodes import Word
from .findings import Fault, Finding
from .model import Ownership

#: Seconds that a replay may be held up: to see whether it would begin, and until all is idle.
_MOST_PROBE_S, _MOST_IDLE_S, _PAUSE_S = 0.0002, 0.05, 0.001
#: Launches of a graph that are looked at before the pair is left alone.
_MOST_LAUNCHES = 8
_MOST_PLACES = 256
_MOST_BYTES = 512
_KEPT_LAUNCHES = 4


class Device(Protocol):
    """What is asked of CUDA. Real: `CudaDevice` of `cuda_device.py`."""

    def get_stream(self) -> int:
        """Return the handle of the current stream."""
        ...

    def record(self, stream: int | None = None) -> Any:
        """Return an event, recorded on a stream or the current one, with `query() -> bool`."""
        ...

    def read(self, address: int, size: int) -> bytes:
        """Return device memory; empty if it is not there."""
        ...

    def measure(self, addresses: Collection[int]) -> dict[int, int]:
        """Return, of each address inside a block now, how many bytes are left of the block."""
        ...


@dataclass(slots=True, eq=False)
class Used:
    """One graph: its name, and where it is first seen to use each address."""

    name: str
    pool: str
    words: Mapping[int, Word]
    """Those of the graph's pool come first: they are looked at first."""


class _Launch(NamedTuple):
    used: Used
    event: Any


@dataclass(slots=True, eq=False)
class _Pair:
    """Two graphs whose replays were not ordered, and where each was seen to write."""

    graphs: tuple[Used, Used]
    places: list[int]
    written: tuple[set[int], set[int]] = field(default_factory=lambda: (set(), set()))
    left: list[int] = field(default_factory=lambda: [_MOST_LAUNCHES, _MOST_LAUNCHES])

    def wants(self, used: Used) -> bool:
        """Tell whether it must still be seen where this graph writes."""
        if used not in self.graphs or self.written[0] & self.written[1]:
            return False
        return self.left[self.graphs.index(used)] > 0


class ConcurrentWrites:
    """Watches the replays of one process."""

    def __init__(self, device: Device, report: Callable[[Finding], None]) -> None:
        self._device = device
        self._report = report
        self._launches: dict[int, deque[_Launch]] = {}
        self._pairs: dict[frozenset[int], _Pair] = {}
        self._experiment = threading.Lock()
        self._before: dict[int, dict[int, bytes]] = {}
        self._capturing = 0
        self._lock = threading.Lock()

    def begin_capture(self) -> None:
        """Called before each capture: meanwhile no event may be asked, in no thread."""
        with self._lock:
            self._capturing += 1
            self._launches.clear()

    def end_capture(self) -> None:
        """Called when a capture has ended, in whatever way."""
        with self._lock:
            self._capturing -= 1

    def before_replay(self, used: Used) -> None:
        """Look whether the replay waits for those of other streams, and begin an experiment."""
        if self._before.pop(threading.get_ident(), None) is not None:
            self._experiment.release()  # of a replay that raised
        if self._experiment.acquire(timeout=_MOST_IDLE_S):
            self._experiment.release()
        if self._capturing:
            return
        stream = self._device.get_stream()
        for other in [one for one in [*self._launches] if one != stream]:
            for launch in [*self._launches.get(other, ())]:
                self._compare(used, launch)
        pairs = [pair for pair in [*self._pairs.values()] if pair.wants(used)]
        if pairs and self._experiment.acquire(blocking=False):
            self._before[threading.get_ident()] = {}
            self._before[threading.get_ident()] = self._read_when_idle(pairs)

    def after_replay(self, used: Used) -> None:
        """Note the launch; end the experiment."""
        before = self._before.pop(threading.get_ident(), None)
        try:
            if not self._capturing:
                self._note_launch(used)
                if before is not None:
                    self._compare_bytes(used, before)
        finally:
            if before is not None:
                self._experiment.release()

    def _note_launch(self, used: Used) -> None:
        launches = self._launches.setdefault(
            self._device.get_stream(), deque(maxlen=_KEPT_LAUNCHES)
        )
        launches.append(_Launch(used, self._device.record()))

    # --- not ordered ---

    def _compare(self, used: Used, launch: _Launch) -> None:
        key = frozenset((id(used), id(launch.used)))
        if launch.used is used or key in self._pairs or launch.event.query():
            return
        places = _list_shared(used, launch.used)
        if places and self._begins_before(launch.event):
            self._pairs[key] = _Pair((used, launch.used), places)

    def _begins_before(self, earlier: Any) -> bool:
        """Tell whether the current stream is free although the earlier launch is not over."""
        here, until = self._device.record(), time.perf_counter() + _MOST_PROBE_S
        while time.perf_counter() < until:
            if here.query():
                return not earlier.query()
            if earlier.query():
                return False
        return False

    # --- both write it ---

    def _read_when_idle(self, pairs: list[_Pair]) -> dict[int, bytes]:
        """Return what stands in the memory in question; nothing if it does not stand still."""
        if not self._wait_for_idle():
            return {}
        places = {place for pair in pairs for place in pair.places}
        first = self._read(places)
        time.sleep(_PAUSE_S)
        again = self._read(places)
        return {place: data for place, data in first.items() if data and again[place] == data}

    def _compare_bytes(self, used: Used, before: dict[int, bytes]) -> None:
        is_known = bool(before) and self._wait_for_idle()
        changed = {
            place
            for place, data in (before.items() if is_known else ())
            if self._device.read(place, len(data)) not in (data, b"")
        }
        for pair in [pair for pair in [*self._pairs.values()] if pair.wants(used)]:
            side = pair.graphs.index(used)
            pair.left[side] -= 1
            pair.written[side].update(changed.intersection(pair.places))
            if both := pair.written[0] & pair.written[1]:
                self._report(_make_finding(pair, used, sorted(both)))

    def _read(self, places: Collection[int]) -> dict[int, bytes]:
        sizes = self._device.measure(places)
        return {
            place: self._device.read(place, min(_MOST_BYTES, sizes[place]))
            if place in sizes
            else b""
            for place in places
        }

    def _wait_for_idle(self) -> bool:
        """Wait until what was launched is over, on the streams of replays and the default one."""
        until = time.perf_counter() + _MOST_IDLE_S
        events = [self._device.record(stream) for stream in {0, *self._launches}]
        events.append(self._device.record())
        while not all(event.query() for event in events):
            if time.perf_counter() > until:
                return False
            time.sleep(0.0001)
        return True


def _list_shared(one: Used, other: Used) -> list[int]:
    """Return the addresses that two graphs share, as many as can be looked at."""
    return [place for place in one.words if place in other.words][:_MOST_PLACES]


def _make_finding(pair: _Pair, used: Used, both: list[int]) -> Finding:
    other = pair.graphs[1 - pair.graphs.index(used)]
    mine, theirs = used.words[both[0]], other.words[both[0]]
    return Finding(
        Fault.CONCURRENT,
        Ownership.POOL if used.pool == other.pool else Ownership.LIVE,
        used.name,
        mine.kernel,
        mine.parameter,
        mine.node,
        both[0],
        0,
        f"both write at {len(both)} of {len(pair.places)} shared addresses",
        pool=used.pool,
        writers=(f"{other.name}: {theirs.kernel}",),
    )

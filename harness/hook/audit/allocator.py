"""What torch's caching allocator says of its blocks, as plain values.

The first snapshot with a history took 3.7 to 7.6 s, later ones 1 to 2 ms. To name a line of
generated code, torch looks for its attribute `_inductor`, which imports the compiler if nothing has
yet. `take_snapshot` leaves the compiler out: where it was not imported, it has generated nothing.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .model import Block, Change, History, MemoryMap
from .stacks import read_frames

#: Reading an entry takes about 10 microseconds, at each check.
MOST_CHANGES = 1000
DEFAULT_POOL = "0,0"
_MICROSECONDS = 1e6


def start_history() -> None:
    """Let the allocator note who allocates and frees, from the moment that CUDA is initialised."""

    def begin() -> None:
        torch: Any = sys.modules["torch"]
        torch.cuda.memory._record_memory_history(
            "all", context="all", stacks="python", max_entries=MOST_CHANGES
        )

    # Under this name: torch may still be importing it.
    cuda: Any = sys.modules["torch.cuda"]
    cuda._lazy_call(begin)


def count_releases() -> int:
    """Return how many blocks of the current device were freed so far."""
    torch: Any = sys.modules["torch"]
    stats = torch._C._cuda_memoryStats(torch.cuda.current_device())
    return int(stats["allocation"]["all"]["freed"])


def read_time() -> float:
    """Return the moment on the clock of the history, in microseconds."""
    return time.time() * _MICROSECONDS


def take_snapshot() -> tuple[MemoryMap, History | None]:
    """Return the blocks now, and what has changed lately; None where no history is kept."""
    torch: Any = sys.modules["torch"]
    with leave_compiler_out(torch):
        snapshot = torch._C._cuda_memorySnapshot(None)
    changes = [one for trace in snapshot.get("device_traces", ()) for one in trace]
    return MemoryMap(_read_blocks(snapshot["segments"])), read_history(changes)


def read_blocks() -> MemoryMap:
    """Return the blocks now. Without the history, where torch can leave it out, it is faster."""
    torch: Any = sys.modules["torch"]
    taken = torch.cuda.memory.memory_snapshot.__code__
    without = (0, 0, False) if "include_traces" in taken.co_varnames else None
    with leave_compiler_out(torch):
        snapshot = torch._C._cuda_memorySnapshot(without)
    return MemoryMap(_read_blocks(snapshot["segments"]))


@contextmanager
def leave_compiler_out(torch: Any) -> Iterator[None]:
    """Keep whoever asks whether torch has an `_inductor` from importing it."""
    if "_inductor" in vars(torch):
        yield
        return
    absent = _AbsentCompiler()
    torch._inductor = absent
    try:
        yield
    finally:
        if vars(torch).get("_inductor") is absent:
            del torch._inductor


class _AbsentCompiler:
    """Has no `codecache`; whatever else another thread asks for meanwhile is imported after all."""

    def __getattr__(self, name: str) -> Any:
        if name == "codecache":
            raise AttributeError(name)
        import importlib

        return getattr(importlib.import_module("torch._inductor"), name)


def _read_blocks(segments: list[dict[str, Any]]) -> list[Block]:
    return [
        Block(
            block["address"],
            block["size"],
            pool,
            block["state"] == "active_allocated",
            _Frames(block.get("frames", ())),
        )
        for segment in segments
        for pool in (format_pool(segment["segment_pool_id"]),)
        for block in segment["blocks"]
    ]


class _Frames(tuple[Any, ...]):
    """Frames as torch gives them: they are read only if they are reported."""

    __slots__ = ()


def resolve_stack(stack: Any) -> tuple[str, ...]:
    """Return a stack that can be reported, of what a snapshot gave for one."""
    return read_frames(stack) if isinstance(stack, _Frames) else tuple(stack)


def read_history(entries: Sequence[Mapping[str, Any]]) -> History | None:
    """Return the changes that torch's entries tell of; None if there is none."""
    changes = [
        Change(
            int(entry["addr"]),
            int(entry["size"]),
            entry["action"] == "free_requested",
            float(entry.get("time_us", 0)),
            _Frames(entry.get("frames", ())),
        )
        for entry in entries
        if entry["action"] in ("alloc", "free_requested")
    ]
    changes.sort(key=lambda change: change.time)
    return History(changes, changes[0].time) if changes else None


def format_pool(identity: Any) -> str:
    """Return the name of a pool, of torch's pair of numbers."""
    return ",".join(str(part) for part in identity)

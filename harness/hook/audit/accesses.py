"""What a recorded graph reads and writes: in the arena by address, elsewhere by storage."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .spans import Span, SpanSet


@dataclass(frozen=True, slots=True)
class Access:
    """One use of one tensor by one operation of a graph."""

    node: int
    kernel: str
    parameter: str
    span: Span
    what: str
    reads: bool
    writes: bool


@dataclass(slots=True)
class Accesses:
    """All uses of tensors by one graph, in order."""

    arena: list[Access] = field(default_factory=list)
    written: SpanSet = field(default_factory=SpanSet)
    """What it writes in the arena."""
    outside: dict[int, Access] = field(default_factory=dict)
    """The first use of each storage outside the arena, by the storage's handle."""
    held: Counter[int] = field(default_factory=Counter)
    """How many tensors of each such storage the graph holds."""

    def list_writers(self, span: Span) -> list[str]:
        """Return the operations that write inside a span."""
        found = (one for one in self.arena if one.writes and one.span.meets(span))
        return list(dict.fromkeys(one.kernel for one in found))


def read_accesses(graph: Any, arena: Any) -> Accesses:
    """Return what a RecordedGraph uses, in one arena and outside."""
    found, seen = Accesses(), set()
    for node, operation in enumerate(graph.operations):
        for parameter, tensor, reads, writes in operation.list_accesses():
            access = Access(
                node, operation.name, parameter, _measure(tensor), _describe(tensor), reads, writes
            )
            if arena.holds(tensor):
                found.arena.append(access)
                if writes:
                    found.written.add(access.span)
            else:
                handle = tensor.untyped_storage()._cdata
                found.outside.setdefault(handle, access)
                if id(tensor) not in seen:
                    seen.add(id(tensor))
                    found.held[handle] += 1
    return found


def _measure(tensor: Any) -> Span:
    start = int(tensor.data_ptr())
    if tensor.numel() == 0:
        return Span(start, start)
    pairs = zip(tensor.size(), tensor.stride(), strict=True)
    return Span(start, start + (sum((n - 1) * step for n, step in pairs) + 1) * tensor.itemsize)


def _describe(tensor: Any) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.size())}"

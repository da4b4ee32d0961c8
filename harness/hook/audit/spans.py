"""Sets of addresses."""

import bisect
from collections.abc import Iterator
from typing import NamedTuple


class Span(NamedTuple):
    """Addresses from `start` up to, not including, `end`."""

    start: int
    end: int

    def meets(self, other: "Span") -> bool:
        """Tell whether the two share an address."""
        return self.start < other.end and other.start < self.end


class SpanSet:
    """A union of spans."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, span: Span) -> None:
        """Add all addresses of a span."""
        if span.start >= span.end:
            return
        # Joined are those that touch it: the first that ends at or after it, up to the last that
        # starts at or before its end.
        first = bisect.bisect_left(self._ends, span.start)
        last = bisect.bisect_right(self._starts, span.end)
        if first < last:
            span = Span(min(span.start, self._starts[first]), max(span.end, self._ends[last - 1]))
        self._starts[first:last] = [span.start]
        self._ends[first:last] = [span.end]

    def covers(self, span: Span) -> bool:
        """Tell whether every address of the span is in the set."""
        if span.start >= span.end:
            return True
        place = bisect.bisect_right(self._starts, span.start) - 1
        return place >= 0 and self._ends[place] >= span.end

    def meets(self, span: Span) -> bool:
        """Tell whether some address of the span is in the set."""
        place = bisect.bisect_right(self._ends, span.start)
        return span.start < span.end and place < len(self._ends) and self._starts[place] < span.end

    def __iter__(self) -> Iterator[Span]:
        """Yield the spans, lowest first; none touches the next."""
        return map(Span, self._starts, self._ends)

"""What the start-up hook observed in the processes of one attempt, as capture measurement.

For engines that know nothing of harness: which graphs which process captured, in which order, and
whether the order that was asked for reached the engine. `harness/hook/` writes these events.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from harness.core import events as wire
from harness.core.audit import MOST_FINDINGS, AuditFinding, read_finding
from harness.core.capture_measurement import CaptureMeasurement
from harness.core.events import Event
from harness.core.order import name_order

#: Captured, and nothing said for which size.
UNKNOWN_ORDER = "unknown"


class Observed:
    """The hook's events of one attempt so far, of all its processes."""

    def __init__(self) -> None:
        self.requested = ""
        """The order that an overlay was asked to turn captures to."""
        self.notes: list[str] = []
        self.audit: list[AuditFinding] = []
        self._captures: dict[int, list[Event]] = defaultdict(list)
        self._patched = False
        self._printed: list[Event] = []

    def take(self, event: Event) -> None:
        """Process one event of the hook; unknown ones are passed over."""
        handler = getattr(self, f"_on_{event['event']}", None)
        if handler is not None:
            handler(event)

    def _on_hook_parts(self, event: Event) -> None:
        for part in wire.read_texts(event, "parts"):
            name, _, argument = part.partition(":")
            if name.rpartition("-")[2] == "order":
                self.requested = argument

    def _on_hook_capture(self, event: Event) -> None:
        if not wire.read_text(event, "error"):
            self._captures[wire.read_index(event, "pid")].append(event)

    def _on_hook_audit(self, event: Event) -> None:
        if len(self.audit) < MOST_FINDINGS:
            self.audit.append(read_finding(event, wire.read_index(event, "rank")))

    def _on_hook_note(self, event: Event) -> None:
        self.notes.append(wire.read_text(event, "text")[:500])

    def _on_hook_order(self, _: Event) -> None:
        self._patched = True

    def _on_hook_progress(self, event: Event) -> None:
        self._printed.append(event)

    def _on_hook_refusal(self, event: Event) -> None:
        self.notes.append(f"the start-up hook refused: {wire.read_text(event, 'text')[:500]}")

    def _on_hook_error(self, event: Event) -> None:
        self.notes.append(f"the start-up hook failed: {wire.read_text(event, 'text')[:500]}")

    def measure(self) -> CaptureMeasurement:
        """Return what was captured, of all processes together."""
        processes = [*self._captures.values()]
        if not processes:
            return self._measure_printed()
        every = sorted((one for own in processes for one in own), key=_read_start)
        return CaptureMeasurement(
            graphs="+".join(sorted({wire.read_text(one, "graphs") for one in every})),
            requested=self.requested,
            observed=_join_orders(processes),
            pool_bytes=max(_sum(own, "bytes") for own in processes),
            peak_bytes=max(int(wire.read_amount(one, "peak")) for one in every),
            seconds=max(sum(wire.read_amount(one, "seconds") for one in own) for own in processes),
            trace=_make_trace(processes),
        )

    def _measure_printed(self) -> CaptureMeasurement:
        """Return what the engine printed: an order at most, since it prints no bytes of a pool."""
        if not self._printed:
            return CaptureMeasurement(requested=self.requested)
        order = name_sizes(self._printed)
        return CaptureMeasurement(graphs="cuda", requested=self.requested, observed=order)

    def list_notes(self, captured: bool) -> list[str]:
        """Return what the user should know. `captured`: the engine itself reported captures."""
        notes = [*self.notes]
        if self._printed and not captured and not self._captures:
            notes.append("the capture order is what the engine printed: no process was observed")
        elif self.requested and not captured and not self._captures:
            notes.append(f"order {self.requested} was asked for, and no graph was captured")
        elif self.requested and self._captures and not self._patched:
            notes.append(
                f"order {self.requested} was asked for, and no process imported code that the "
                "overlay can turn"
            )
        return notes


def name_sizes(captures: Sequence[Event]) -> str:
    """Return one name for the order in which one process captured, `mixed`, or UNKNOWN_ORDER.

    Each role is a sequence of its own; several graphs of one size in a row count as one.
    """
    runs: list[list[int]] = []
    previous = None
    for capture in captures:
        role, size = wire.read_text(capture, "role"), wire.read_index(capture, "bs")
        if not size:
            continue
        if role != previous:
            runs.append([])
        if runs[-1][-1:] != [size]:
            runs[-1].append(size)
        previous = role
    names = {name_order(run) for run in runs}
    # A role of one size has no order, and contradicts none.
    telling = names - {"single"} or names
    return telling.pop() if len(telling) == 1 else ("mixed" if telling else UNKNOWN_ORDER)


def _join_orders(processes: Sequence[Sequence[Event]]) -> str:
    names = {name_sizes(captures) for captures in processes}
    telling = names - {"single", UNKNOWN_ORDER} or names - {UNKNOWN_ORDER} or names
    return telling.pop() if len(telling) == 1 else "mixed"


def _make_trace(processes: Sequence[Sequence[Event]]) -> tuple[dict[str, Any], ...]:
    """Return the captures in order, each with what its process's pools hold after it."""
    trace = []
    for captures in processes:
        held = 0
        for one in captures:
            held += int(wire.read_amount(one, "bytes"))
            trace.append({**one, "pool_bytes": held, "observed_by": "hook"})
    return tuple(sorted(trace, key=_read_start))


def _read_start(event: Event) -> float:
    return wire.read_number(event, "t")


def _sum(captures: Sequence[Event], key: str) -> int:
    return sum(int(wire.read_amount(one, key)) for one in captures)

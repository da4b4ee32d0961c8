"""What capturing in one order at one largest batch size cost, read from one process's events."""

from collections.abc import Iterable
from dataclasses import dataclass

from harness.core import events as wire
from harness.core.events import Event


@dataclass(frozen=True, slots=True)
class Captured:
    """One graph: the pools' bytes once it was captured, and the device's free bytes."""

    role: str
    bs: int
    pool_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class CaptureCost:
    """One process's capture. Bytes and seconds; `unfit`: what was said where it did not fit."""

    order: str
    max_bs: int
    graphs: str
    pool_bytes: int
    peak_bytes: int
    total_bytes: int
    weights: int
    kv: int
    seconds: float
    trace: tuple[Captured, ...]
    unfit: str | None

    @property
    def footprint(self) -> int:
        """Weights, keys and values, and graphs."""
        return self.weights + self.kv + self.pool_bytes

    @property
    def held(self) -> int:
        """Bytes of the device, or of the arena, that were not free at the worst moment."""
        return self.total_bytes - min(
            (one.free_bytes for one in self.trace), default=self.total_bytes
        )


def read_cost(order: str, max_bs: int, events: Iterable[Event]) -> CaptureCost:
    """Fold one process's events, in order of arrival."""
    last: dict[str, Event] = {}
    trace = []
    for event in events:
        last[event["event"]] = event
        if event["event"] == "capture":
            trace.append(_read_captured(event))
    done, held = last.get("captured", {}), last.get("footprint", {})
    return CaptureCost(
        order=order,
        max_bs=max_bs,
        graphs=wire.read_text(done, "graphs"),
        pool_bytes=int(wire.read_amount(done, "pool_bytes")),
        peak_bytes=int(wire.read_amount(done, "peak_bytes")),
        total_bytes=int(wire.read_amount(done, "total_bytes")),
        weights=int(wire.read_amount(held, "weights") + wire.read_amount(held, "draft_weights")),
        kv=int(wire.read_amount(held, "kv")),
        seconds=wire.read_amount(done, "seconds"),
        trace=tuple(trace),
        unfit=wire.read_text(last["unfit"], "text", "out of memory") if "unfit" in last else None,
    )


def _read_captured(event: Event) -> Captured:
    return Captured(
        role=wire.read_text(event, "role"),
        bs=wire.read_index(event, "bs"),
        pool_bytes=int(wire.read_amount(event, "pool_bytes")),
        free_bytes=int(wire.read_amount(event, "free_after")),
    )

"""What the wire's events of one attempt showed, taken one by one in order of arrival."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from harness.core import events as wire
from harness.core.capture_measurement import CaptureMeasurement
from harness.core.events import Event
from harness.core.kinds import Exc, Frame, Kind, KindScope, Phase, classify_exception
from harness.core.observed import Observed
from harness.core.order import name_order
from harness.core.result import Failure
from harness.core.signature import is_asynchronous, make_signature


class Seen:
    """What events have shown so far; a later one may still change it."""

    def __init__(self, scope: KindScope) -> None:
        self._scope = scope
        self.collected: list[str] = []
        self.reports: dict[str, list[Event]] = {}
        self.ended: set[str] = set()
        self.current: str | None = None
        self.phase = Phase.SETUP
        """Where the attempt is: what the engine or pytest said last."""
        self.whole: list[Failure] = []
        self.traces: list[Event] = []
        self.requested = ""
        self.captured: list[Event] = []
        self.finish: Event | None = None
        self.ended_by: Exc | None = None
        """What ended the session before its time: KeyboardInterrupt, or pytest.exit."""
        self.replays: Counter[str] = Counter()
        self.eager = 0
        self.notes: list[str] = []
        self.observed = Observed()
        self.crumbs: dict[int, str] = {}
        self.follower_errors: dict[int, Exc | None] = {}
        self.pids: dict[int, int] = {}
        self.signals: list[Event] = []
        """Signals that processes of the attempt say they send, before they do."""
        self.leaving: dict[int, Event] = {}
        """By rank: where it called `os._exit`."""
        self.thread_errors: list[Event] = []

    def make_failure(self, exc: Exc | None, phase: Phase, test: str, *, in_setup: bool) -> Failure:
        """Return the failure that an exception is, or a report that carries none."""
        exc = exc or Exc((), "the report carried no exception")
        kind = classify_exception(exc, in_setup=in_setup, scope=self._scope)
        if kind is Kind.CAPTURE_ERROR:
            phase = Phase.CAPTURE
        message = exc.message
        if is_asynchronous(message) and exc.frames and not self._scope.blocking:
            message += f"\n{_describe_notice(exc.frames[-1])}"
        return Failure(kind, phase, make_signature(exc), message, test)

    def take(self, rank: int, event: Event) -> None:
        """Process one event; those of ranks above 0 only tell where that rank was."""
        name = event["event"]
        if name.startswith("hook_"):
            self.observed.take(event)
        if name == "capture":
            size = wire.read_index(event, "bs")
            self.crumbs[rank] = f"after capturing {wire.read_text(event, 'role')} bs {size}"
        if name == "note":
            self.notes.append(f"rank {rank}: {wire.read_text(event, 'text')[:500]}")
        if name == "hello":
            self.pids[rank] = wire.read_index(event, "pid")
        if name == "signal_sent":
            self.signals.append(event)
        if name == "leaving":
            self.leaving[rank] = event
        if name == "thread_error":
            self.thread_errors.append({**event, "test": self.current})
        if name == "follower_error" and rank:
            self.follower_errors[rank] = wire.read_exception(event)
        if rank == 0 and (handler := getattr(self, f"_on_{name}", None)):
            handler(event)

    def _on_collected(self, event: Event) -> None:
        self.collected += [t for t in wire.read_texts(event, "tests") if t not in self.collected]

    def _on_collect_error(self, event: Event) -> None:
        where = wire.read_text(event, "id")
        exc = wire.read_exception(event)
        self.whole.append(self.make_failure(exc, Phase.SETUP, where, in_setup=True))

    def _on_test_start(self, event: Event) -> None:
        self.current = wire.read_text(event, "id")
        self.phase = Phase.SETUP
        self.reports.setdefault(self.current, [])

    def _on_test_end(self, event: Event) -> None:
        self.ended.add(wire.read_text(event, "id"))
        self.current = None

    def _on_phase(self, event: Event) -> None:
        name = wire.read_text(event, "name")
        if name in set(Phase):
            self.phase = Phase(name)

    def _on_report(self, event: Event) -> None:
        phase = self._name_phase(wire.read_text(event, "when"))
        self._advance(event)
        self.reports.setdefault(wire.read_text(event, "id"), []).append({**event, "phase": phase})

    def _name_phase(self, when: str) -> Phase:
        if self.phase is Phase.CAPTURE:  # pytest does not know that the engine captures
            return Phase.CAPTURE
        return {"setup": Phase.SETUP, "teardown": Phase.TEARDOWN}.get(when, Phase.RUN)

    def _advance(self, report: Event) -> None:
        """Move on to what pytest does after this report; a subtest's comes in between."""
        if not report.get("subtest"):
            after = {"setup": Phase.RUN, "call": Phase.TEARDOWN}
            self.phase = after.get(wire.read_text(report, "when"), self.phase)

    def _on_capture_plan(self, event: Event) -> None:
        self.requested = self.requested or wire.read_text(event, "requested")

    def _on_capture(self, event: Event) -> None:
        # setUpClass runs after its first test has started: the test tells the class that captured.
        self.traces.append({**event, "test": self.current})

    def _on_captured(self, event: Event) -> None:
        self.captured.append(event)

    def _on_replays(self, event: Event) -> None:
        for key, count in wire.read_counts(event, "counts").items():
            self.replays[key] = max(self.replays[key], count)
        self.eager = max(self.eager, int(wire.read_amount(event, "eager")))

    def _on_unended(self, event: Event) -> None:
        names = ", ".join(wire.read_texts(event, "threads"))
        seconds = wire.read_amount(event, "seconds")
        message = f"threads still ran {seconds:g} s after the last test: {names}"
        self.whole.append(Failure(Kind.HANG, Phase.TEARDOWN, "hang @ interpreter exit", message))

    def _on_session_end(self, event: Event) -> None:
        self.ended_by = wire.read_exception(event)

    def _on_finish(self, event: Event) -> None:
        self.phase = Phase.TEARDOWN
        self.finish = event

    def capture(self) -> CaptureMeasurement:
        """Return what graph capture showed so far: as the engine says, else as the hook saw it."""
        if not self.traces and not self.captured:
            seen = self.observed.measure()
            return replace(seen, requested=self.requested or seen.requested)
        last = self.captured[-1] if self.captured else {}
        backends = last.get("role_backends")
        return CaptureMeasurement(
            graphs=wire.read_text(last, "graphs"),
            requested=self.requested,
            observed=name_capture_order(self.traces),
            pool_bytes=self._largest("pool_bytes"),
            peak_bytes=self._largest("peak_bytes"),
            seconds=sum(wire.read_amount(done, "seconds") for done in self.captured),
            role_backends={str(k): str(v) for k, v in backends.items()}
            if isinstance(backends, dict)
            else {},
            trace=tuple(self.traces),
        )

    def _largest(self, field: str) -> int:
        return max((int(wire.read_amount(done, field)) for done in self.captured), default=0)


def _describe_notice(frame: Frame) -> str:
    where = f"{frame.function} ({frame.file.rpartition('/')[2]}:{frame.line})"
    return f"noticed in {where}; the fault itself may have happened earlier, in any kernel"


def name_capture_order(traces: Sequence[Event]) -> str:
    """One name for the order of all roles' captures of all engines, or `mixed`."""
    runs: list[list[int]] = []
    previous = None
    for trace in traces:
        role, position = wire.read_text(trace, "role"), wire.read_number(trace, "position")
        if role != previous or position == 0:
            runs.append([])
        runs[-1].append(wire.read_index(trace, "bs"))
        previous = role
    names = {name_order(run) for run in runs}
    return names.pop() if len(names) == 1 else ("mixed" if names else "none")

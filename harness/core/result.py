"""What one attempt showed: the wire's events and the processes' ends, folded into outcomes.

The rules that a last report alone would get wrong, each with a test of its own:
a failing subtest fails its test though the test's own report says passed; a rerun in any phase is
a failure that recovered in process; a process that left without `finish` failed, whatever it
printed; a failed setUpClass or collection is one failure, not n.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from harness.core import events as wire
from harness.core.events import Event
from harness.core.kinds import Exc, Kind, Phase, kind_of_exception, strongest
from harness.core.order import observed_order
from harness.core.signature import signature_of

#: What Gloo and NCCL say to the ranks that are left when one dies.
_PEER_LEFT = re.compile(r"Connection (closed|reset) by (remote )?peer", re.I)

#: pytest's exit statuses that say it did not run what was asked, whatever the reports say.
_GAVE_UP = {1: "failures that no report named", 2: "interrupted", 3: "internal error"}


class Outcome(StrEnum):
    """A test's result in one attempt."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    PRECLUDED = "precluded"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure: of a test, of a class's set-up or a collection, or of the process itself."""

    kind: Kind
    phase: Phase
    signature: str
    message: str
    test: str | None = None


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test in one attempt. `recovered`: a rerun in the same process ended well."""

    __test__ = False  # the name makes pytest try to collect it

    id: str
    outcome: Outcome
    seconds: float = 0.0
    failure: Failure | None = None
    reran: bool = False
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class Capture:
    """What graph capture showed on rank 0. Sizes in bytes, time in seconds."""

    graphs: str = ""
    requested: str = ""
    observed: str = "none"
    sequence: tuple[int, ...] = ()
    pool_bytes: int = 0
    peak_bytes: int = 0
    seconds: float = 0.0
    role_backends: dict[str, str] = field(default_factory=dict)
    trace: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """How the processes of an attempt ended, as the supervisor saw it."""

    exits: tuple[tuple[int, int | None, str | None], ...]
    """(rank, exit code or None, signal name or None), in the order of death."""
    timed_out: bool = False
    timeout_s: float = 0.0
    infrastructure: str | None = None
    """Why the attempt is not the suite's fault: device not clean, actor or node lost."""
    left_behind: tuple[str, ...] = ()
    """Processes that outlived the attempt and were reaped."""


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """An attempt, decided."""

    status: str
    """passed, failed, infra, or censored: killed in flight, so that its outcome is unknown."""
    tests: tuple[TestResult, ...]
    failures: tuple[Failure, ...]
    capture: Capture
    inside_seconds: float
    replays: dict[str, int]
    eager_steps: int
    notes: tuple[str, ...]

    @property
    def failure(self) -> Failure | None:
        """The failure that names the attempt: the strongest kind, the first of its kind."""
        if not self.failures:
            return None
        kind = strongest([failure.kind for failure in self.failures])
        return next(failure for failure in self.failures if failure.kind is kind)


def fold(events: list[tuple[int, Event]], ending: Ending) -> AttemptResult:
    """Decide an attempt from all its events, (rank, event) in order of arrival, and its ending."""
    reader = _Reader()
    for rank, event in events:
        reader.take(rank, event)
    return reader.result(ending)


def censored() -> AttemptResult:
    """An attempt that an interrupted run killed in flight: it might have passed or failed."""
    return AttemptResult("censored", (), (), Capture(), 0.0, {}, 0, ())


class _Reader:
    """Takes events one by one; holds what a later event may still change."""

    def __init__(self) -> None:
        self.collected: list[str] = []
        self.reports: dict[str, list[Event]] = {}
        self.ended: set[str] = set()
        self.current: str | None = None
        self.phase = Phase.SETUP
        self.phases: dict[str, Phase] = {}
        self.whole: list[Failure] = []
        self.traces: list[Event] = []
        self.requested = ""
        self.last_captured: Event = {}
        self.finish: Event | None = None
        self.replays: Counter[str] = Counter()
        self.eager = 0
        self.notes: list[str] = []
        self.crumbs: dict[int, str] = {}
        self.follower_errors: dict[int, Exc | None] = {}

    def take(self, rank: int, event: Event) -> None:
        """Process one event; those of ranks above 0 only tell where that rank was."""
        name = event["event"]
        if name == "capture":
            self.crumbs[rank] = (
                f"after capturing {wire.text(event, 'role')} bs {int(wire.number(event, 'bs'))}"
            )
        if name == "note":
            self.notes.append(f"rank {rank}: {wire.text(event, 'text')[:500]}")
        if name == "follower_error" and rank:
            self.follower_errors[rank] = wire.exception(event)
        if rank == 0 and (handler := getattr(self, f"_on_{name}", None)):
            handler(event)

    def _on_collected(self, event: Event) -> None:
        self.collected += [t for t in wire.texts(event, "tests") if t not in self.collected]

    def _on_collect_error(self, event: Event) -> None:
        where = wire.text(event, "id")
        self.whole.append(_failure(wire.exception(event), Phase.SETUP, where, True))

    def _on_test_start(self, event: Event) -> None:
        self.current = wire.text(event, "id")
        self.phase = Phase.RUN if self.phase is Phase.TEARDOWN else self.phase
        self.reports.setdefault(self.current, [])

    def _on_test_end(self, event: Event) -> None:
        self.ended.add(wire.text(event, "id"))
        self.current = None

    def _on_phase(self, event: Event) -> None:
        name = wire.text(event, "name")
        if name in set(Phase):
            self.phase = Phase(name)

    def _on_report(self, event: Event) -> None:
        phase = _phase_of(wire.text(event, "when"), self.phase)
        self.reports.setdefault(wire.text(event, "id"), []).append({**event, "phase": phase})

    def _on_capture_plan(self, event: Event) -> None:
        self.requested = self.requested or wire.text(event, "requested")

    def _on_capture(self, event: Event) -> None:
        # setUpClass runs after its first test has started: the test tells the class that captured.
        self.traces.append({**event, "test": self.current})

    def _on_captured(self, event: Event) -> None:
        self.last_captured = event

    def _on_replays(self, event: Event) -> None:
        for key, count in wire.counts(event, "counts").items():
            self.replays[key] = max(self.replays[key], count)
        self.eager = max(self.eager, int(wire.number(event, "eager")))

    def _on_finish(self, event: Event) -> None:
        self.finish = event

    # --- decisions, once all events are in ---

    def result(self, ending: Ending) -> AttemptResult:
        """The attempt, decided."""
        process = self._process_failure(ending)
        tests = [self._test(test, process) for test in self._known_tests()]
        failures = [*self.whole, *self._class_failures()]
        failures += [t.failure for t in tests if t.failure and t.failure not in failures]
        if process and process not in failures:
            failures.append(process)
        failures = _causes(failures)
        if not failures:
            failures += self._session_failures(tests)
        status = "failed" if failures else "passed"
        return AttemptResult(
            status="infra" if ending.infrastructure else status,
            tests=tuple(tests),
            failures=_infra(ending.infrastructure) if ending.infrastructure else tuple(failures),
            capture=self._capture(),
            inside_seconds=wire.number(self.finish or {}, "inside_seconds"),
            replays=dict(self.replays),
            eager_steps=self.eager,
            notes=tuple(self.notes + [f"left behind and reaped: {p}" for p in ending.left_behind]),
        )

    def _known_tests(self) -> list[str]:
        return list(dict.fromkeys([*self.collected, *self.reports]))

    def _session_failures(self, tests: list[TestResult]) -> list[Failure]:
        """What is wrong although no test and no process failed: nothing ran, or pytest gave up."""
        status = int(wire.number(self.finish or {}, "exitstatus"))
        if status in _GAVE_UP:
            message = f"pytest ended with status {status}: {_GAVE_UP[status]}"
            return [Failure(Kind.ERROR, Phase.RUN, message, message)]
        if any(test.outcome is not Outcome.PRECLUDED for test in tests):
            return []
        return [Failure(Kind.NO_TESTS, Phase.SETUP, "no tests collected", "no tests collected")]

    def _process_failure(self, ending: Ending) -> Failure | None:
        """The failure of the process itself, charged to the test that was running."""
        crash = self._first_crash(ending)
        if ending.timed_out:
            message = f"no end after {ending.timeout_s:g} s ({self._where()})"
            return Failure(Kind.HANG, self.phase, self._at("hang"), message, self.current)
        if crash:
            rank, signal, code = crash
            if rank in self.follower_errors and not signal:
                return self._follower_failure(rank, self.follower_errors[rank])
            what = signal or f"exit {code}"
            where = self.crumbs.get(rank, "") if rank else self._where()
            kind = Kind.SIGNAL if signal else Kind.EARLY_EXIT
            message = f"rank {rank} ended by {what} {where}".strip()
            return Failure(kind, self.phase, self._at(what, rank), message, self.current)
        return None

    def _follower_failure(self, rank: int, exc: Exc | None) -> Failure:
        """A follower that ended by an exception of its own: that exception's kind, not its exit."""
        failure = _failure(exc, self.phase, self.current or "", self.phase is Phase.SETUP)
        return replace(
            failure,
            signature=f"{failure.signature} on rank {rank}",
            message=" ".join((f"rank {rank}", self.crumbs.get(rank, ""))).strip()
            + f": {failure.message}",
            test=self.current,
        )

    def _first_crash(self, ending: Ending) -> tuple[int, str | None, int | None] | None:
        """(rank, signal, code) of the first death that was none of the supervisor's doing."""
        for rank, code, signal in ending.exits:
            if signal or (rank and code) or (rank == 0 and not self._ended_as_said(code)):
                return rank, signal, code
        return None

    def _ended_as_said(self, code: int | None) -> bool:
        """Whether rank 0 came to its end, and left as its last line said it would."""
        if self.finish is None or code is None:
            return False
        return code == int(wire.number(self.finish, "exitstatus")) & 0xFF

    def _where(self) -> str:
        return f"in {self.current}" if self.current else f"in {self.phase.value}"

    def _at(self, what: str, rank: int = 0) -> str:
        test = (self.current or "").rpartition("::")[2].partition("[")[0]
        return f"{what}{f' on rank {rank}' if rank else ''} @ {test or self.phase.value}"

    def _class_failures(self) -> list[Failure]:
        """One failure per class or module whose set-up failed, not one per test of it."""
        found: dict[str, Failure] = {}
        for test, reports in self.reports.items():
            for report in reports:
                if report.get("class_setup") is True and _is_bad(report):
                    scope = test.rpartition("::")[0]
                    found.setdefault(
                        scope, _failure(wire.exception(report), report["phase"], scope, True)
                    )
        return list(found.values())

    def _test(self, test: str, process: Failure | None) -> TestResult:
        reports = self.reports.get(test, [])
        seconds = sum(wire.number(report, "seconds") for report in reports)
        bad = [report for report in reports if _is_bad(report)]
        if process and process.test == test:
            own = None if not bad else self._worst(test, bad)
            worst = process if own is None else min(own, process, key=_strength)
            return TestResult(test, Outcome.FAILED, seconds, worst)
        if any(report.get("class_setup") is True for report in bad):
            return TestResult(test, Outcome.PRECLUDED, seconds)
        if bad:
            reran = any(report.get("outcome") == "rerun" for report in bad)
            final_bad = any(report.get("outcome") == "failed" for report in bad)
            return TestResult(
                test,
                Outcome.FAILED,
                seconds,
                self._worst(test, bad),
                reran,
                reran and not final_bad,
            )
        if test not in self.ended:
            return self._unended(test, seconds)
        return TestResult(test, _clean_outcome(reports), seconds)

    def _unended(self, test: str, seconds: float) -> TestResult:
        """A test without its end: the one that ended the session, or one never reached."""
        if test != self.current:
            return TestResult(test, Outcome.PRECLUDED, seconds)
        message = f"the session was ended in {test}"
        failure = Failure(Kind.EARLY_EXIT, self.phase, self._at("session ended"), message, test)
        return TestResult(test, Outcome.FAILED, seconds, failure)

    def _worst(self, test: str, bad: list[Event]) -> Failure:
        failures = [
            _failure(wire.exception(r), r["phase"], test, wire.text(r, "when") == "setup")
            for r in bad
        ]
        return min(failures, key=_strength)

    def _capture(self) -> Capture:
        first_role = wire.text(self.traces[0], "role") if self.traces else ""
        sequence = tuple(
            int(wire.number(t, "bs")) for t in self.traces if wire.text(t, "role") == first_role
        )
        done = self.last_captured
        backends = done.get("role_backends")
        return Capture(
            graphs=wire.text(done, "graphs"),
            requested=self.requested,
            observed=order_of(self.traces),
            sequence=sequence,
            pool_bytes=int(wire.number(done, "pool_bytes")),
            peak_bytes=int(wire.number(done, "peak_bytes")),
            seconds=wire.number(done, "seconds"),
            role_backends={str(k): str(v) for k, v in backends.items()}
            if isinstance(backends, dict)
            else {},
            trace=tuple(self.traces),
        )


def order_of(traces: Sequence[Event]) -> str:
    """One name for the order of all roles' captures of all engines, or `mixed`."""
    runs: list[list[int]] = []
    previous = None
    for trace in traces:
        role, position = wire.text(trace, "role"), wire.number(trace, "position")
        if role != previous or position == 0:
            runs.append([])
        runs[-1].append(int(wire.number(trace, "bs")))
        previous = role
    names = {observed_order(run) for run in runs}
    return names.pop() if len(names) == 1 else ("mixed" if names else "none")


def _phase_of(when: str, engine: Phase) -> Phase:
    """pytest knows set-up, call and teardown; only the engine knows that it is capturing."""
    if engine is Phase.CAPTURE:
        return engine
    return {"setup": Phase.SETUP, "teardown": Phase.TEARDOWN}.get(when, Phase.RUN)


def _is_bad(report: Event) -> bool:
    return report.get("outcome") in ("failed", "rerun")


def _clean_outcome(reports: list[Event]) -> Outcome:
    if not reports:
        return Outcome.PRECLUDED
    skipped = any(r.get("outcome") == "skipped" and not r.get("subtest") for r in reports)
    return Outcome.SKIPPED if skipped else Outcome.PASSED


def _strength(failure: Failure) -> int:
    return list(Kind).index(failure.kind)


def _failure(exc: Exc | None, phase: Phase, test: str, in_setup: bool) -> Failure:
    exc = exc or Exc((), "the report carried no exception")
    kind = kind_of_exception(exc, in_setup=in_setup)
    if kind is Kind.CAPTURE_ERROR:
        phase = Phase.CAPTURE
    return Failure(kind, phase, signature_of(exc), exc.message, test)


def _causes(failures: list[Failure]) -> list[Failure]:
    """Without those of ranks that only saw a peer leave, where another failure says why it left."""
    return [f for f in failures if not _PEER_LEFT.search(f.message)] or failures


def _infra(reason: str) -> tuple[Failure, ...]:
    return (Failure(Kind.INFRASTRUCTURE, Phase.SETUP, reason.partition(":")[0], reason),)

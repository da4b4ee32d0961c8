"""The loop of a run: lease, record, decide. Every attempt is stored as it ends."""

import contextlib
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from harness.attempt.spec import AttemptRecord
from harness.cluster.interface import DevicePool, Loss, StartedAttempt
from harness.cluster.members import Gang
from harness.core.fold import fold
from harness.core.kinds import Kind
from harness.core.plan import PlannedAttempt
from harness.core.result import AttemptResult, Ending, censored
from harness.core.revision import AXIS
from harness.core.statuses import AttemptStatus, RunStatus
from harness.driver import messages
from harness.driver.attempts import AttemptInFlight, make_ending, make_lease, make_spec
from harness.driver.context import RunContext
from harness.driver.progress import Progress
from harness.driver.revisions.place import noted
from harness.driver.stopping import Ended, Stopping
from harness.store.store import Store

#: How often the loop looks up from waiting, to keep the bar alive and lease freed devices.
_LOOK_S = 0.2

#: How long attempts in flight may take to die after Ctrl-C.
_CANCEL_WAIT_S = 2.5


class RunLoop:
    """Works off the queue of one run."""

    def __init__(
        self,
        context: RunContext,
        pool: DevicePool,
        store: Store,
        progress: Progress,
        stopping: Stopping,
    ) -> None:
        self._context = context
        self._pool = pool
        self._store = store
        self._progress = progress
        self._stopping = stopping
        self._queue: deque[tuple[PlannedAttempt, int]] = deque()
        self._in_flight: dict[StartedAttempt, AttemptInFlight] = {}
        self._stopped_early = False
        self._without_tests: set[tuple[str, Any]] = set()

    def execute(self, queue: Sequence[PlannedAttempt]) -> RunStatus:
        """Run the queue to its end, or until decided. Return how the run ended."""
        self._queue.extend((planned, 0) for planned in queue)
        try:
            self._stop_if_settled()
            while self._queue or self._in_flight:
                self._lease_all()
                for started in self._pool.wait(list(self._in_flight), _LOOK_S):
                    self._end(started)
                self._watch()
        except KeyboardInterrupt:
            self._progress.say(messages.say_interrupted())
            self._cancel_all()
            return RunStatus.INTERRUPTED
        return RunStatus.DECIDED if self._stopped_early else RunStatus.COMPLETE

    def _stop_if_settled(self) -> None:
        """Give no further lease once the answer is known; attempts in flight are drained."""
        if self._queue and self._stopping.settled():
            self._progress.say(messages.say_settled(len(self._queue), len(self._in_flight)))
            self._queue.clear()
            self._stopped_early = True

    # --- leasing ---

    def _lease_all(self) -> None:
        """Start attempts in queue order while gangs are free."""
        while self._queue and not self._stopping.holds_leases(self._list_in_flight()):
            planned, replaces = self._queue[0]
            if _identify_source(planned) in self._without_tests:
                self._queue.popleft()
                continue
            gang = self._pool.lease(planned.cell.tp)
            if gang is None:
                if not self._in_flight and self._pool.largest_gang() < planned.cell.tp:
                    self._drop_unrunnable(planned.cell.tp)
                    continue
                return
            self._queue.popleft()
            self._start(planned, replaces, gang)

    def _list_in_flight(self) -> list[Ended]:
        """Return what is running, as if it had ended by now."""
        now = time.time()
        return [
            Ended(
                *(one.planned.position, one.replaces, one.planned.suite, one.planned.cell.key),
                *(AttemptStatus.CENSORED, now - one.started),
            )
            for one in self._in_flight.values()
        ]

    def _drop_unrunnable(self, tp: int) -> None:
        before = len(self._queue)
        self._queue = deque(item for item in self._queue if item[0].cell.tp < tp)
        self._progress.say(messages.say_too_few_devices(tp, before - len(self._queue)))

    def _start(self, planned: PlannedAttempt, replaces: int, gang: Gang) -> None:
        attempt_id = f"{self._context.run_id}.{planned.position}"
        attempt_id += f"r{replaces}" if replaces else ""
        spec = make_spec(self._context, attempt_id, planned, gang)
        attempt = AttemptInFlight(planned, replaces, gang, spec, time.time())
        self._in_flight[self._pool.start(gang, spec)] = attempt

    # --- recording ---

    def _end(self, started: StartedAttempt) -> None:
        attempt = self._in_flight.pop(started)
        outcome = self._pool.collect(started)
        self._pool.release(attempt.gang)
        if isinstance(outcome, Loss):
            self._progress.say(f"{attempt.spec.attempt_id}: {outcome.reason}")
            self._record_lost(attempt, outcome.reason)
        else:
            result = fold(outcome.events, make_ending(outcome, attempt.spec))
            self._record(attempt, result, outcome)

    def _record_lost(self, attempt: AttemptInFlight, reason: str) -> None:
        self._record(attempt, fold([], Ending((), infrastructure=reason)), None)

    def _record(
        self, attempt: AttemptInFlight, result: AttemptResult, record: AttemptRecord | None
    ) -> None:
        planned = attempt.planned
        result = noted(result, self._context.plan.revisions, planned.cell)
        self._store.add_attempt(attempt.identify(), result, make_lease(attempt, record))
        self._progress.ended(f"{attempt.spec.attempt_id} {planned.cell.label}", result)
        key = planned.suite, planned.cell.key
        seconds = record.wall_seconds if record else 0.0
        self._stopping.add(Ended(planned.position, attempt.replaces, *key, result.status, seconds))
        self._consider(attempt, result)
        self._stop_if_settled()

    def _consider(self, attempt: AttemptInFlight, result: AttemptResult) -> None:
        """Change the queue by what an attempt showed."""
        planned, replaces = attempt.planned, attempt.replaces
        if result.status is AttemptStatus.INFRA and replaces < self._context.options.replace_infra:
            self._queue.append((planned, replaces + 1))
            self._progress.extend(1)
        if result.failure and result.failure.kind is Kind.NO_TESTS:
            # Every further repeat would collect nothing too.
            self._without_tests.add(_identify_source(planned))

    # --- watching and stopping ---

    def _watch(self) -> None:
        for started, attempt in self._in_flight.items():
            for rank, event in self._pool.take_events(started):
                if rank == 0:
                    self._progress.event(attempt.spec.attempt_id, event)
        for notice in self._pool.take_notices():
            self._progress.say(notice)
        self._progress.tick()

    def _cancel_all(self) -> None:
        with _uninterrupted():
            for started in self._in_flight:
                self._pool.cancel(started)
            deadline = time.monotonic() + _CANCEL_WAIT_S
            waiting = list(self._in_flight)
            while waiting and time.monotonic() < deadline:
                ready = self._pool.wait(waiting, _LOOK_S)
                waiting = [started for started in waiting if started not in ready]
            for attempt in self._in_flight.values():
                lease = make_lease(attempt, None)
                self._store.add_attempt(attempt.identify(), censored(), lease)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """A second Ctrl-C must not leave children behind."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _identify_source(planned: PlannedAttempt) -> tuple[str, Any]:
    """Return what the suite's tests follow from: its name, and the revision it is read from."""
    return planned.suite, planned.cell.get(AXIS)

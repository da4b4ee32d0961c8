"""The loop of a run: lease, record, decide. Every attempt is recorded as it ends."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from harness.cluster.interface import DevicePool, Loss, StartedAttempt
from harness.cluster.members import Gang
from harness.core.fold import fold
from harness.core.kinds import Kind
from harness.core.records import Lease
from harness.core.result import AttemptResult, Ending, make_censored
from harness.core.statuses import AttemptStatus, RunStatus
from harness.driver import messages
from harness.driver.attempts import (
    AttemptInFlight,
    make_ending,
    make_lease,
    make_spec,
)
from harness.driver.context import RunContext
from harness.driver.evidence import add_environment
from harness.driver.interruption import CLOSED_PIPE, Interruption, silence_closed_pipes
from harness.driver.ledger import Ledger
from harness.driver.progress import ProgressView
from harness.driver.queue import QueuedAttempt, Source
from harness.driver.revisions.place import note_changed_worktree
from harness.driver.stopping import Ended, Stopping

#: How often the loop looks up from waiting, to keep the bar alive and lease freed devices.
_LOOK_S = 0.2

#: How far behind an attempt that waits for its gang others are looked for to run meanwhile.
_LOOK_AHEAD = 64

#: How long attempts in flight may take to die once the run is to end.
_CANCEL_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended. `ended_by` says why it is not complete."""

    status: RunStatus
    ended_by: str | None = None


@dataclass(frozen=True, slots=True)
class LoopParts:
    """What a loop works with: devices, the results' ledger, what the user sees, when to stop."""

    pool: DevicePool
    ledger: Ledger
    progress: ProgressView
    stopping: Stopping
    interruption: Interruption


class RunLoop:
    """Works off the queue of one run."""

    def __init__(self, context: RunContext, parts: LoopParts) -> None:
        self._context = context
        self._pool = parts.pool
        self._ledger = parts.ledger
        self._progress = parts.progress
        self._stopping = parts.stopping
        self._interruption = parts.interruption
        self._queue: deque[QueuedAttempt] = deque()
        self._in_flight: dict[StartedAttempt, AttemptInFlight] = {}
        self._stopped_early = False
        self._owed = 0
        self._owed_because: str | None = None
        self._empty_on: dict[Source, set[str]] = {}
        self._with_tests: set[Source] = set()
        self._waiting: QueuedAttempt | None = None

    def execute(self, queue: Sequence[QueuedAttempt]) -> RunEnd:
        """Run the queue to its end, or until decided. Return how the run ended."""
        self._queue.extend(queue)
        try:
            self._stop_if_settled()
            while self._queue or self._in_flight:
                self._lease_all()
                for started in self._pool.wait(list(self._in_flight), _LOOK_S):
                    self._end(started)
                self._watch()
        except (KeyboardInterrupt, BrokenPipeError) as error:
            return self._interrupt(error)
        return self._conclude()

    def _conclude(self) -> RunEnd:
        if self._stopped_early:
            return RunEnd(RunStatus.DECIDED)
        if self._owed_because is not None:
            self._progress.say(messages.say_owed(self._owed, self._owed_because))
            return RunEnd(RunStatus.INCOMPLETE, self._owed_because)
        return RunEnd(RunStatus.COMPLETE)

    def _stop_if_settled(self) -> None:
        """Give no further lease once the answer is known; attempts in flight are drained."""
        if self._queue and self._stopping.is_settled():
            self._progress.say(messages.say_settled(len(self._queue), len(self._in_flight)))
            self._queue.clear()
            self._stopped_early = True

    # --- leasing ---

    def _lease_all(self) -> None:
        """Start attempts in queue order while gangs are free."""
        while self._queue and not self._stopping.holds_leases(self._list_in_flight()):
            queued = self._queue[0]
            if self._is_warming_up() and not queued.warmup:
                return
            if self._is_empty(queued.source):
                self._queue.popleft()
                continue
            if self._stopping.is_needless(queued.planned.suite, queued.planned.cell.key):
                self._queue.popleft()
                self._stopped_early = True
                continue
            tp = queued.planned.cell.devices
            gang = self._pool.lease(tp)
            if gang is None:
                if not self._in_flight and self._pool.largest_gang() < tp:
                    self._drop_unrunnable(tp)
                    continue
                self._fill_in(queued)
                return
            self._queue.popleft()
            self._start(queued, gang)

    def _fill_in(self, waiting: QueuedAttempt) -> None:
        """Start later attempts on the devices that one leaves idle while it waits for its gang.

        Once for each that waits: what is freed from then on is kept for it, so that none starves.
        """
        if self._waiting is waiting or waiting.warmup:
            return
        self._waiting = waiting
        if not any(member.is_free for member in self._pool.members):
            return
        for queued in list(islice(self._queue, 1, _LOOK_AHEAD)):
            planned = queued.planned
            if self._stopping.is_needless(planned.suite, planned.cell.key):
                continue
            gang = None if self._is_empty(queued.source) else self._pool.lease(planned.cell.devices)
            if gang is not None:
                self._queue.remove(queued)
                self._start(queued, gang)

    def _list_in_flight(self) -> list[Ended]:
        """Return what is running, as if it had ended by now."""
        now = time.time()
        return [
            Ended(
                *(one.queued.planned.position, one.queued.replaces),
                *(one.queued.planned.suite, one.queued.planned.cell.key),
                *(AttemptStatus.CENSORED, now - one.started),
            )
            for one in self._in_flight.values()
            if not one.queued.warmup
        ]

    def _is_warming_up(self) -> bool:
        return any(one.queued.warmup for one in self._in_flight.values())

    def _drop_unrunnable(self, tp: int) -> None:
        runnable = [queued for queued in self._queue if queued.planned.cell.devices < tp]
        dropped = [queued for queued in self._queue if queued.planned.cell.devices >= tp]
        counted = sum(not queued.warmup for queued in dropped)
        self._owe(counted, messages.say_too_few_devices(tp))
        self._queue = deque(runnable)

    def _start(self, queued: QueuedAttempt, gang: Gang) -> None:
        attempt_id = queued.make_id(self._context.run_id)
        spec = make_spec(self._context, attempt_id, queued.planned, gang)
        attempt = AttemptInFlight(queued, gang, spec, time.time(), self._context.part)
        self._in_flight[self._pool.start(gang, spec)] = attempt

    # --- recording ---

    def _end(self, started: StartedAttempt) -> None:
        attempt = self._in_flight.pop(started)
        outcome = self._pool.collect(started)
        self._pool.release(attempt.gang)
        if isinstance(outcome, Loss):
            result = fold([], Ending((), infrastructure=outcome.describe()))
        else:
            result = fold(outcome.events, make_ending(outcome, attempt.spec))
        self._record(attempt, result, make_lease(attempt, outcome))

    def _record(self, attempt: AttemptInFlight, result: AttemptResult, lease: Lease) -> None:
        queued, planned = attempt.queued, attempt.queued.planned
        result = note_changed_worktree(result, self._context.plan.revisions, planned.cell)
        self._ledger.add(attempt.identify(), result, lease)
        if result.status is AttemptStatus.FAILED:
            record = self._context.record
            add_environment(attempt.spec.folder, record, planned.cell, planned.seed)
        if result.status is AttemptStatus.INFRA and not lease.suite_started:
            self._launch_again(attempt, result)
            return
        if queued.warmup:
            self._progress.end_warmup(attempt.spec.attempt_id, result)
            return
        self._progress.end_attempt(f"{attempt.spec.attempt_id} {planned.cell.label}", result)
        key = planned.suite, planned.cell.key
        ended = Ended(planned.position, queued.replaces, *key, result.status, lease.wall_seconds)
        self._stopping.add(ended)
        self._consider(attempt, result)
        self._stop_if_settled()

    def _launch_again(self, attempt: AttemptInFlight, result: AttemptResult) -> None:
        """Put an attempt that was lost before its suite started back where it was."""
        again = attempt.queued.launch < self._context.options.relaunch
        reason = result.failure.message.splitlines()[0] if result.failure else "lost"
        self._progress.say(messages.say_lost(attempt.spec.attempt_id, reason, again))
        if again:
            self._queue.appendleft(attempt.queued.launch_again())
        elif not attempt.queued.warmup:
            self._owe(1, reason)

    def _owe(self, count: int, reason: str) -> None:
        self._owed += count
        self._owed_because = reason

    def _consider(self, attempt: AttemptInFlight, result: AttemptResult) -> None:
        """Change the queue by what an attempt showed."""
        queued = attempt.queued
        wanted = self._context.options.replace_infra
        if result.status is AttemptStatus.INFRA and queued.replaces < wanted:
            self._queue.append(queued.replace_again())
            self._progress.extend(1)
        if result.failure and result.failure.kind is Kind.NO_TESTS:
            nodes = self._empty_on.setdefault(queued.source, set())
            nodes.add(attempt.gang.leader.node)
        elif result.tests:
            self._with_tests.add(queued.source)

    def _is_empty(self, source: Source) -> bool:
        """Tell whether further repeats would collect nothing too: no node found a test in it."""
        nodes = {member.node for member in self._pool.members if not member.quarantined}
        empty_on = self._empty_on.get(source, set())
        return bool(empty_on) and source not in self._with_tests and nodes <= empty_on

    # --- watching and stopping ---

    def _watch(self) -> None:
        for started, attempt in self._in_flight.items():
            for rank, event in self._pool.take_events(started):
                if rank == 0:
                    self._progress.event(attempt.spec.attempt_id, event)
        for notice in self._pool.take_notices():
            self._progress.say(notice)
        self._progress.tick()
        self._ledger.retry_if_due()
        self._interruption.raise_if_pipe_closed()

    def _interrupt(self, error: BaseException) -> RunEnd:
        """Keep what has finished, mark what is in flight. Nothing here waits for long."""
        # Ray replaces what a handler raised by a KeyboardInterrupt of its own.
        closed = CLOSED_PIPE if isinstance(error, BrokenPipeError) else str(error)
        cause = self._interruption.cause = self._interruption.cause or closed or "SIGINT"
        silence_closed_pipes()
        self._progress.say(messages.say_interrupted(cause))
        for started in self._in_flight:
            self._pool.cancel(started)
        deadline = time.monotonic() + _CANCEL_WAIT_S
        waiting = list(self._in_flight)
        while waiting and (left := deadline - time.monotonic()) > 0:
            ready = self._pool.wait(waiting, min(left, _LOOK_S))
            waiting = [started for started in waiting if started not in ready]
        for attempt in self._in_flight.values():
            self._ledger.add(attempt.identify(), make_censored(), make_lease(attempt, None))
        return RunEnd(RunStatus.INTERRUPTED, cause)

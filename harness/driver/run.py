"""The run: lease, record, decide. One loop; every attempt is stored as it ends."""

import contextlib
import secrets
import signal
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.attempt.spec import AttemptRecord, AttemptSpec, Isolation
from harness.cluster.interface import DevicePool, StartedAttempt
from harness.cluster.members import Gang
from harness.core.fold import fold
from harness.core.kinds import Kind
from harness.core.plan import Plan, PlannedAttempt
from harness.core.records import Lease
from harness.core.result import AttemptResult, Ending, censored
from harness.core.revision import AXIS
from harness.core.statuses import AttemptStatus, RunStatus
from harness.driver.options import RunOptions
from harness.driver.progress import Progress
from harness.driver.revisions.place import noted, place_of
from harness.driver.stopping import Ended, Stopping
from harness.store.store import Store

#: How often the loop looks up from waiting, to keep the bar alive and lease freed devices.
_LOOK_S = 0.2

#: How long attempts in flight may take to die after Ctrl-C.
_CANCEL_WAIT_S = 15.0

_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class InFlight:
    """An attempt under way."""

    planned: PlannedAttempt
    replaces: int
    gang: Gang
    spec: AttemptSpec
    started: float


class Run:
    """One run's loop over its queue."""

    def __init__(
        self,
        run_id: str,
        plan: Plan,
        options: RunOptions,
        isolation: Isolation,
        store: Store,
        pool: DevicePool,
        progress: Progress,
        queue: list[PlannedAttempt],
        stopping: Stopping,
    ) -> None:
        self._run_id = run_id
        self._plan = plan
        self._options = options
        self._isolation = isolation
        self._store = store
        self._pool = pool
        self._progress = progress
        self._queue = deque((planned, 0) for planned in queue)
        self._flying: dict[StartedAttempt, InFlight] = {}
        self._seen: dict[StartedAttempt, int] = {}
        self._stopping = stopping
        self._stopped_early = False
        self._empty: set[tuple[str, Any]] = set()

    def execute(self) -> RunStatus:
        """Run the queue to its end, or until decided.

        Returns the run's status: complete, decided (stopped early) or interrupted.
        """
        try:
            self._stop_if_settled()
            while self._queue or self._flying:
                self._lease_all()
                for started in self._pool.wait(list(self._flying), _LOOK_S):
                    self._end(started)
                self._watch()
        except KeyboardInterrupt:
            self._progress.say("interrupted: ending the attempts in flight; finished ones are kept")
            self._cancel_all()
            return RunStatus.INTERRUPTED
        return RunStatus.DECIDED if self._stopped_early else RunStatus.COMPLETE

    def _stop_if_settled(self) -> None:
        """Give no further lease once the answer is known; attempts in flight are drained."""
        if self._queue and self._stopping.settled():
            self._progress.say(
                f"the question is settled: {len(self._queue)} attempts are not needed, "
                f"{len(self._flying)} in flight are drained and stored"
            )
            self._queue.clear()
            self._stopped_early = True

    # --- leasing ---

    def _lease_all(self) -> None:
        """Start attempts in queue order while gangs are free."""
        while self._queue:
            planned, replaces = self._queue[0]
            if _tree_of(planned) in self._empty:
                self._queue.popleft()
                continue
            tp = planned.cell.tp
            gang = self._pool.lease(tp)
            if gang is None:
                if not self._flying and self._pool.largest_gang() < tp:
                    self._drop_unrunnable(tp)
                    continue
                return
            self._queue.popleft()
            self._start(planned, replaces, gang)

    def _drop_unrunnable(self, tp: int) -> None:
        before = len(self._queue)
        self._queue = deque(item for item in self._queue if item[0].cell.tp < tp)
        self._progress.say(
            f"no {tp} healthy devices are left on one node: "
            f"{before - len(self._queue)} attempts are not run; --resume can run them later"
        )

    def _start(self, planned: PlannedAttempt, replaces: int, gang: Gang) -> None:
        spec = self._spec(planned, replaces, gang)
        flying = InFlight(planned, replaces, gang, spec, time.time())
        unclean = self._pool.check_devices(gang)
        if unclean:
            reasons = "; ".join(f"{device}: {reason}" for device, reason in unclean.items())
            self._progress.say(f"quarantined: {reasons}")
            self._record(
                flying, fold([], Ending((), infrastructure=f"device not clean: {reasons}"))
            )
            self._pool.release(gang)
            return
        started = self._pool.start(gang, spec)
        self._flying[started] = flying
        self._seen[started] = 0

    def _spec(self, planned: PlannedAttempt, replaces: int, gang: Gang) -> AttemptSpec:
        attempt_id = f"{self._run_id}.{planned.position}" + (f"r{replaces}" if replaces else "")
        return make_spec(
            self._run_id,
            attempt_id,
            planned,
            self._options,
            self._isolation,
            gang,
            self._plan,
        )

    # --- recording ---

    def _end(self, started: StartedAttempt) -> None:
        flying = self._flying.pop(started)
        self._seen.pop(started)
        outcome = self._pool.collect(started)
        self._pool.release(flying.gang)
        if isinstance(outcome, str):
            self._progress.say(f"{flying.spec.attempt_id}: {outcome}")
            self._record(flying, fold([], Ending((), infrastructure=outcome)))
        else:
            self._record(flying, fold(outcome.events, ending_of(outcome, flying.spec)), outcome)

    def _record(
        self, flying: InFlight, result: AttemptResult, record: AttemptRecord | None = None
    ) -> None:
        planned = flying.planned
        result = noted(result, self._plan.revisions, planned.cell)
        self._store.add_attempt(self._identity(flying), result, lease_of(flying, record))
        self._progress.ended(f"{flying.spec.attempt_id} {planned.cell.label}", result)
        self._stopping.add(
            Ended(planned.position, flying.replaces, planned.suite, planned.cell.key, result.status)
        )
        self._consider(planned, flying.replaces, result)
        self._stop_if_settled()

    def _identity(self, flying: InFlight) -> dict[str, Any]:
        planned = flying.planned
        return {
            "id": flying.spec.attempt_id,
            "run_id": self._run_id,
            "position": planned.position,
            "replaces": flying.replaces,
            "suite": planned.suite,
            "cell": planned.cell.key,
            "repeat": planned.repeat,
            "seed": planned.seed,
        }

    def _consider(self, planned: PlannedAttempt, replaces: int, result: AttemptResult) -> None:
        """What an ended attempt means for the queue."""
        if result.status is AttemptStatus.INFRA and replaces < self._options.replace_infra:
            self._queue.append((planned, replaces + 1))
            self._progress.extend(1)
        if result.failure and result.failure.kind is Kind.NO_TESTS:
            # Every further repeat would collect nothing too.
            self._empty.add(_tree_of(planned))

    # --- watching and stopping ---

    def _watch(self) -> None:
        for started, flying in self._flying.items():
            events = self._pool.read_events(started, self._seen[started])
            self._seen[started] += len(events)
            for rank, event in events:
                if rank == 0:
                    self._progress.event(flying.spec.attempt_id, event)
        self._progress.tick()

    def _cancel_all(self) -> None:
        with _uninterrupted():
            for started in self._flying:
                self._pool.cancel(started)
            deadline = time.monotonic() + _CANCEL_WAIT_S
            waiting = list(self._flying)
            while waiting and time.monotonic() < deadline:
                ready = self._pool.wait(waiting, _LOOK_S)
                waiting = [started for started in waiting if started not in ready]
            for flying in self._flying.values():
                self._store.add_attempt(self._identity(flying), censored(), lease_of(flying, None))


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """A second Ctrl-C must not leave children behind."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def new_run_id() -> str:
    """Eight characters that no shell and no file system minds."""
    return secrets.token_hex(4)


def run_folder(run_id: str) -> Path:
    """Where a run's attempts keep their logs, events and traces."""
    return Path(".harness/runs").absolute() / run_id


def _tree_of(planned: PlannedAttempt) -> tuple[str, Any]:
    """What the suite's tests follow from: its name, and the revision it is read from."""
    return planned.suite, planned.cell.get(AXIS)


def make_spec(
    run_id: str,
    attempt_id: str,
    planned: PlannedAttempt,
    options: RunOptions,
    isolation: Isolation,
    gang: Gang,
    plan: Plan,
) -> AttemptSpec:
    """All that the supervisor needs for one attempt."""
    devices = [member.device for member in gang.members]
    place = place_of(plan.revisions, planned.cell)
    return AttemptSpec(
        run_id=run_id,
        attempt_id=attempt_id,
        nodeids=(planned.suite,),
        deselect=planned.deselect,
        keyword=options.keyword,
        # A revision is no argument of its engine.
        axes={name: value for name, value in planned.cell.axes if name != AXIS},
        seed=planned.seed,
        repeat=planned.repeat,
        tp=planned.cell.tp,
        timeout_s=options.timeout_s,
        grace_s=_GRACE_S,
        folder=run_folder(run_id) / attempt_id,
        isolation=isolation,
        env={**planned.cell.environment(), **place.env},
        in_process_reruns=options.in_process_reruns,
        python=place.python,
        cwd=place.cwd,
        device=devices[0].kind,
        visible_devices=tuple(d.id for d in devices if d.kind == "cuda"),
        in_ci=plan.in_ci,
    )


def ending_of(record: AttemptRecord, spec: AttemptSpec) -> Ending:
    """How the processes ended, without the deaths that the supervisor itself caused."""
    own = [end for end in record.exits if end.rank not in record.killed]
    return Ending(
        exits=tuple((end.rank, end.code, end.signal) for end in own),
        timed_out=record.timed_out,
        timeout_s=spec.timeout_s,
        infrastructure=record.error,
        left_behind=tuple(record.orphans),
    )


def lease_of(flying: InFlight, record: AttemptRecord | None) -> Lease:
    """What the attempt ran on, for the store."""
    return Lease(
        devices=tuple(member.device.id for member in flying.gang.members),
        node=flying.gang.members[0].node,
        zygote=record.keeper_id if record else "",
        isolation=flying.spec.isolation,
        started=flying.started,
        wall_seconds=record.wall_seconds if record else 0.0,
        folder=str(flying.spec.folder),
        log_tails={str(rank): tail for rank, tail in record.log_tails.items()} if record else {},
    )

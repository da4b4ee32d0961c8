"""Runs that answer a question of their own: several plans over one pool, each stopped when told."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from harness.analysis.build_report import report_run
from harness.analysis.report_model import Report
from harness.cluster.interface import DevicePool
from harness.core.plan import Plan
from harness.core.records import AttemptRow
from harness.core.statuses import AttemptStatus, RunStatus
from harness.driver.commands.run import RunRequest, make_record, make_request
from harness.driver.context import RunContext
from harness.driver.execution import Session
from harness.driver.interruption import end_on_signals
from harness.driver.ledger import Ledger
from harness.driver.loop import LoopParts, RunEnd, RunLoop
from harness.driver.options import RunOptions
from harness.driver.outputs import Outputs
from harness.driver.ownership import own_run
from harness.driver.progress import Progress
from harness.driver.queue import QueuedAttempt, list_planned
from harness.driver.state import locate_store
from harness.driver.stopping import Ended, Stopping
from harness.store.open import open_store


class Watch(Protocol):
    """Looks at attempts as they end, and says of which cells there are enough."""

    def add(self, attempt: Ended, /) -> None:
        """Take an attempt that ended."""

    def is_enough(self, cell: str, /) -> bool:
        """Return whether no further attempt of the cell is needed."""

    def must_wait(self, in_flight: Collection[Ended], /) -> bool:
        """Return whether what is running has to end before anything else begins."""


class Everything:
    """The watch of a run that is made whole."""

    def add(self, _: Ended, /) -> None:
        """Take an attempt: nothing follows."""

    def is_enough(self, _: str, /) -> bool:
        """Return False: every attempt is made."""
        return False

    def must_wait(self, _: Collection[Ended], /) -> bool:
        """Return False: any order will do."""
        return False


class UntilFailure(Everything):
    """The watch of a run that asks only whether anything fails."""

    def __init__(self) -> None:
        self._failed = False

    def add(self, attempt: Ended, /) -> None:
        """Note whether it failed."""
        self._failed |= attempt.status is AttemptStatus.FAILED

    def is_enough(self, _: str, /) -> bool:
        """Return whether anything failed."""
        return self._failed


class WatchedStopping(Stopping):
    """Lets a watch decide which attempts are needless."""

    def __init__(self, plan: Plan, watch: Watch) -> None:
        super().__init__(plan, [])
        self._watch = watch

    def add(self, attempt: Ended) -> None:
        """Hand an attempt on."""
        super().add(attempt)
        self._watch.add(attempt)

    def is_needless(self, suite: str, cell: str) -> bool:
        """Return what the watch says of the cell."""
        return super().is_needless(suite, cell) or self._watch.is_enough(cell)

    def holds_leases(self, in_flight: Iterable[Ended]) -> bool:
        """Return whether the watch wants what is running to end first."""
        return self._watch.must_wait(list(in_flight))


@dataclass(frozen=True, slots=True)
class Measured:
    """One run that has ended."""

    run_id: str
    options: RunOptions
    rows: Sequence[AttemptRow]
    report: Report


class Experiment:
    """One stored run whose queue is worked off in rounds."""

    def __init__(self, context: RunContext, pool: DevicePool, session: Session, label: str) -> None:
        self._context = context
        self._pool = pool
        self._session = session
        self._progress = Progress(None, 0, False, label)
        self._ledger = Ledger(session.store, context.record, context.folder, self._progress.say)
        self.end = RunEnd(RunStatus.COMPLETE)

    @property
    def queue(self) -> list[QueuedAttempt]:
        """Every attempt of the plan."""
        return list_planned(self._context.plan)

    def work_off(self, queue: Sequence[QueuedAttempt], watch: Watch) -> None:
        """Make attempts. Raise KeyboardInterrupt if the run was interrupted."""
        stopping = WatchedStopping(self._context.plan, watch)
        interruption = self._session.interruption
        parts = LoopParts(self._pool, self._ledger, self._progress, stopping, interruption)
        self.end = RunLoop(self._context, parts).execute(queue)
        if self.end.status is RunStatus.INTERRUPTED:
            raise KeyboardInterrupt

    def close(self) -> None:
        """Store how the run ended."""
        self._progress.close()
        self._ledger.end_run(self.end.status, self.end.ended_by)

    def measure(self) -> Measured:
        """Return what is stored."""
        store, run_id = self._session.store, self._context.run_id
        rows = store.attempts(run_id)
        judged = report_run(store.run(run_id), rows, store.test_counts(run_id))
        return Measured(run_id, self._context.options, rows, judged.report)


@dataclass(frozen=True, slots=True)
class Laboratory:
    """One pool and one store for all experiments of a command."""

    pool: DevicePool
    session: Session
    slots: int | None

    @contextmanager
    def begin(
        self, options: RunOptions, plan: Plan | None = None, label: str = "attempts"
    ) -> Iterator[Experiment]:
        """Store a run of these options, or of a plan made for them, and yield its experiment."""
        request = make_request(replace(options, slots=self.slots), ())
        plan = plan or request.make_plan(self.pool.largest_gang())
        record = make_record(request, plan, self.pool.members)
        context = RunContext(record, plan, request.options, request.isolation)
        with own_run(record, context.folder):
            self.session.store.add_run(record)
            experiment = Experiment(context, self.pool, self.session, label)
            try:
                yield experiment
            finally:
                experiment.close()

    def run(
        self, options: RunOptions, watch: Watch | None = None, label: str = "attempts"
    ) -> Measured:
        """Make a whole run, or as much of it as is enough."""
        with self.begin(options, label=label) as experiment:
            experiment.work_off(experiment.queue, watch or Everything())
        return experiment.measure()


@contextmanager
def open_laboratory(options: RunOptions, location: str | None) -> Iterator[Laboratory]:
    """Open the store and a pool for options like these."""
    from harness.cluster.pool import open_pool

    request: RunRequest = make_request(options, ())
    location = location or locate_store(of_revisions=False)
    with end_on_signals() as interruption, open_store(location, write=True) as store:
        session = Session(store, Outputs(quiet=True), interruption)
        with open_pool(request.choose_pool(store)) as pool:
            interruption.install()  # Ray has handlers of its own
            pool.warm(1)
            yield Laboratory(pool, session, options.slots)

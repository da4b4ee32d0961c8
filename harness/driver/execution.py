"""What `run`, `resume` and `report` share: work off a queue, then report what is stored."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from harness.analysis import build_report
from harness.cluster.interface import DevicePool
from harness.core.exits import ExitCode
from harness.core.plan import schedule
from harness.core.records import AttemptRow
from harness.core.statuses import RunStatus
from harness.driver import messages
from harness.driver.context import RunContext
from harness.driver.export import make_export
from harness.driver.interruption import Interruption, silence_closed_pipes
from harness.driver.ledger import Ledger
from harness.driver.live_progress import LiveProgress
from harness.driver.loop import LoopParts, RunEnd, RunLoop
from harness.driver.outputs import Outputs
from harness.driver.progress import Progress, ProgressView
from harness.driver.queue import QueuedAttempt
from harness.driver.stopping import Ended, Stopping
from harness.report.terminal import print_report
from harness.store.store import Store


@dataclass(frozen=True, slots=True)
class Session:
    """One invocation of a command that makes attempts: where results go, and what may end it."""

    store: Store
    outputs: Outputs
    interruption: Interruption
    verbose: bool = False


def execute(
    context: RunContext, pool: DevicePool, session: Session, queue: Sequence[QueuedAttempt]
) -> int:
    """Work off the queue, store how the run ended, and report it. Return the exit code."""
    store = session.store
    progress = _open_progress(context, store.attempts(context.run_id), queue, session.verbose)
    ledger = Ledger(store, context.record, context.folder, progress.say)
    end = RunEnd(RunStatus.FAILED)
    try:
        end = _run_loop(context, pool, session, queue, progress, ledger)
    finally:
        progress.close()
        copy = ledger.end_run(end.status, end.ended_by)
    code = report_run(copy or store, context.run_id, session.outputs)
    if copy is not None:
        sys.stderr.write(
            messages.say_unstored(ledger.unstored, context.run_id, ledger.journal) + "\n"
        )
        code = ExitCode.STORE
    session.interruption.reported.set()
    return code


def _run_loop(
    context: RunContext,
    pool: DevicePool,
    session: Session,
    queue: Sequence[QueuedAttempt],
    progress: ProgressView,
    ledger: Ledger,
) -> RunEnd:
    rows = session.store.attempts(context.run_id)
    known = [to_ended(row) for row in rows if not row.is_owed]
    stopping = Stopping(context.plan, known, context.part)
    parts = LoopParts(pool, ledger, progress, stopping, session.interruption)
    try:
        pool.warm(min(planned.cell.devices for planned in context.plan.runnable))
    except KeyboardInterrupt as error:
        cause = session.interruption.cause or str(error) or "SIGINT"
        progress.say(messages.say_interrupted(cause))
        return RunEnd(RunStatus.INTERRUPTED, cause)
    return RunLoop(context, parts).execute(queue)


def _open_progress(
    context: RunContext, rows: Sequence[AttemptRow], queue: Sequence[QueuedAttempt], verbose: bool
) -> ProgressView:
    """Return a live view for a terminal, and lines now and then for a log."""
    if sys.stderr.isatty():
        return LiveProgress(context, rows, verbose)
    total = len(schedule(context.plan))
    counted = sum(not queued.warmup for queued in queue)
    return Progress(total, max(total - counted, 0), verbose)


def to_ended(row: AttemptRow) -> Ended:
    """Return what a look needs of a stored attempt."""
    return Ended(
        *(row.position, row.replaces, row.suite, row.cell, row.status),
        *(row.wall_seconds, row.part),
    )


def report_run(store: Store, run_id: str, outputs: Outputs) -> int:
    """Print a stored run and write its files. Return the exit code."""
    record, attempts = store.run(run_id), store.attempts(run_id)
    tests, warmups = store.test_counts(run_id), store.attempts(run_id, warmup=True)
    judged = build_report.report_run(record, attempts, tests, warmups)
    # Files first: a reader of the terminal may be gone.
    outputs.write(make_export(store, record, attempts, judged.report))
    silence_closed_pipes()
    print_report(judged.report, Console(), quiet=outputs.quiet)
    return judged.exit_code

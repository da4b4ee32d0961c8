"""What `run`, `resume` and `report` share: work off a queue, then report what is stored."""

from collections.abc import Sequence

from rich.console import Console

from harness.analysis import build_report
from harness.cluster.interface import DevicePool
from harness.core.plan import PlannedAttempt, schedule
from harness.core.records import AttemptRow
from harness.core.statuses import RunStatus
from harness.driver.context import RunContext
from harness.driver.export import make_export
from harness.driver.loop import RunLoop
from harness.driver.outputs import Outputs
from harness.driver.progress import Progress
from harness.driver.stopping import Ended, Stopping
from harness.report.terminal import print_report
from harness.store.store import Store


def execute(
    context: RunContext,
    pool: DevicePool,
    store: Store,
    queue: Sequence[PlannedAttempt],
    verbose: bool,
) -> None:
    """Work off the queue and store how the run ended."""
    total = len(schedule(context.plan))
    stopping = Stopping(context.plan, [to_ended(row) for row in store.attempts(context.run_id)])
    pool.warm(min(planned.cell.tp for planned in context.plan.runnable))
    progress = Progress(total, total - len(queue), verbose)
    status = RunStatus.FAILED
    try:
        status = RunLoop(context, pool, store, progress, stopping).execute(queue)
    finally:
        progress.close()
        store.end_run(context.run_id, status)


def to_ended(row: AttemptRow) -> Ended:
    """Return what a look needs of a stored attempt."""
    return Ended(row.position, row.replaces, row.suite, row.cell, row.status, row.wall_seconds)


def report_run(store: Store, run_id: str, outputs: Outputs) -> int:
    """Print a stored run and write its files. Return the exit code."""
    record, attempts = store.run(run_id), store.attempts(run_id)
    judged = build_report.report_run(record, attempts, store.test_counts(run_id))
    print_report(judged.report, Console(), quiet=outputs.quiet)
    outputs.write(make_export(store, record, attempts, judged.report))
    return judged.exit_code

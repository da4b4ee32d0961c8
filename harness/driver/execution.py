"""What `run`, `resume` and `report` share: work off a queue, then report what is stored."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from harness.analysis import build_report
from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import Isolation
from harness.cluster.interface import DevicePool
from harness.core.errors import UsageError
from harness.core.plan import PlannedAttempt, schedule
from harness.core.records import AttemptRow
from harness.core.revision import Revision
from harness.core.statuses import RunStatus
from harness.driver.context import RunContext
from harness.driver.export import make_export
from harness.driver.loop import RunLoop
from harness.driver.outputs import Outputs
from harness.driver.progress import Progress
from harness.driver.stopping import Ended, Stopping
from harness.report.terminal import print_report
from harness.store.store import Store

#: What a zygote imports before it forks: the cost of an attempt that repeats need not pay.
_PRELOAD = ("pytest", "torch", "harness.engine.engine", "harness.engine.follower")
#: The same for revisions: what every revision's engine stands on, and nothing of a revision.
_TRUSTED_PRELOAD = ("pytest", "torch", "numpy", "safetensors", "tqdm")


def choose_isolation(requested: str | None, device: str) -> Isolation:
    """Return fork on CPU and spawn on CUDA, if nothing was requested.

    Raise UsageError for fork on CUDA.
    """
    if requested == "fork" and device == "cuda":
        raise UsageError("--isolation fork needs --device cpu: a CUDA context does not survive it")
    chosen = requested or ("fork" if device == "cpu" else "spawn")
    return "fork" if chosen == "fork" else "spawn"


def make_supervisor_settings(
    isolation: Isolation, revisions: Sequence[Revision]
) -> SupervisorSettings:
    """Return how device actors make their supervisors. No code of a revision runs in a keeper."""
    return SupervisorSettings(
        python=sys.executable,
        isolation=isolation,
        cwd=None if revisions else Path.cwd(),
        preload=_TRUSTED_PRELOAD if revisions else _PRELOAD,
    )


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
    return Ended(row.position, row.replaces, row.suite, row.cell, row.status)


def report_run(store: Store, run_id: str, outputs: Outputs) -> int:
    """Print a stored run and write its files. Return the exit code."""
    record, attempts = store.run(run_id), store.attempts(run_id)
    judged = build_report.report_run(record, attempts, store.test_counts(run_id))
    print_report(judged.report, Console(), quiet=outputs.quiet)
    outputs.write(make_export(store, record, attempts, judged.report))
    return judged.exit_code

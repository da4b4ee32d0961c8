"""`harness run --resume RUN`: finish exactly what is missing of a stored run."""

from dataclasses import replace

from rich.console import Console

from harness.cluster.devices import count_usable_cores
from harness.cluster.messages import PoolSettings
from harness.core.plan import PlannedAttempt, missing
from harness.core.records import RunRecord
from harness.core.statuses import AttemptStatus
from harness.driver import messages
from harness.driver.context import RunContext
from harness.driver.execution import execute, report_run, to_ended
from harness.driver.options import RunOptions
from harness.driver.outputs import Outputs
from harness.driver.ownership import identify_driver, own_run
from harness.driver.processes import make_supervisor_settings
from harness.driver.restoring import restore_context
from harness.driver.revisions.worktrees import standing
from harness.driver.stopping import Stopping
from harness.store.open import open_store
from harness.store.store import Store


def resume_run(
    name: str, location: str | None, outputs: Outputs, verbose: bool, given: RunOptions
) -> int:
    """Run what the stored plan still lacks, and report. Return the exit code.

    `given`: options beside `--resume`, which say where to run.
    """
    outputs.check()
    store = open_store(location, write=True)
    try:
        context = _restore(store.run(name), given)
        queue = _list_missing(context, store)
        if queue:
            _continue(context, store, queue, verbose)
        return report_run(store, context.run_id, outputs)
    finally:
        store.close()


def _restore(record: RunRecord, given: RunOptions) -> RunContext:
    context = restore_context(record)
    slots = given.slots or context.options.slots
    options = replace(context.options, address=given.address, slots=slots)
    return replace(context, options=options)


def _list_missing(context: RunContext, store: Store) -> list[PlannedAttempt]:
    """Return the attempts that are to be made; none if the question is settled."""
    rows = store.attempts(context.run_id)
    known = [row for row in rows if row.status is not AttemptStatus.CENSORED]
    if Stopping(context.plan, [to_ended(row) for row in known]).settled():
        return []
    return missing(context.plan, [row.position for row in known])


def _continue(
    context: RunContext, store: Store, queue: list[PlannedAttempt], verbose: bool
) -> None:
    from harness.cluster.pool import open_pool

    options, revisions = context.options, context.plan.revisions
    settings = make_supervisor_settings(options, context.device, context.isolation, revisions)
    wanted = PoolSettings(
        kind=context.device,
        slots=options.slots or count_usable_cores(),
        address=options.address,
        supervisor=settings,
    )
    with (
        own_run(context.record, context.folder),
        standing(revisions),
        open_pool(wanted) as pool,
    ):
        store.reopen_run(context.run_id, identify_driver())
        Console(stderr=True).print(messages.say_missing(context.run_id, len(queue)))
        execute(context, pool, store, queue, verbose)

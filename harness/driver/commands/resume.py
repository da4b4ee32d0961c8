"""`harness run --resume RUN`: finish exactly what is missing of a stored run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.console import Console

from harness.cluster.devices import count_usable_cores
from harness.cluster.messages import PoolSettings
from harness.core.records import RunRecord
from harness.driver import messages
from harness.driver.changes import choose_parts
from harness.driver.configuration.suites import list_suite_files
from harness.driver.context import RunContext
from harness.driver.disk import check_disk
from harness.driver.execution import Session, execute, report_run, to_ended
from harness.driver.fingerprint import fingerprint
from harness.driver.interruption import end_on_signals
from harness.driver.ledger import import_journal
from harness.driver.options import RunOptions
from harness.driver.outputs import Outputs
from harness.driver.ownership import identify_driver, own_run
from harness.driver.processes import make_supervisor_settings
from harness.driver.queue import QueuedAttempt, list_outstanding
from harness.driver.restoring import restore_context
from harness.driver.revisions.worktrees import hold_worktrees
from harness.driver.state import refuse_tracked_state
from harness.driver.stopping import Stopping
from harness.driver.stores import locate_run
from harness.store.open import open_store
from harness.store.store import Store


@dataclass(frozen=True, slots=True)
class ResumeOptions:
    """What may be said beside `--resume`: where to run, and whether changed files are measured."""

    run: RunOptions
    allow_changed: bool = False


def resume_run(
    name: str, location: str | None, outputs: Outputs, verbose: bool, given: ResumeOptions
) -> int:
    """Run what the stored plan still lacks, and report. Return the exit code."""
    outputs.check()
    refuse_tracked_state()
    location = locate_run(name, location)
    with end_on_signals() as interruption, open_store(location, write=True) as store:
        context = _restore(store.run(name), given.run)
        session = Session(store, outputs, interruption, verbose)
        with own_run(context.record, context.folder):
            import_journal(store, context.run_id, context.folder)
            queue = _list_outstanding(context, store)
            if queue:
                return _continue(context, session, queue, given.allow_changed)
        return report_run(store, context.run_id, outputs)


def _restore(record: RunRecord, given: RunOptions) -> RunContext:
    context = restore_context(record)
    slots = given.slots or context.options.slots
    options = replace(context.options, address=given.address, slots=slots)
    return replace(context, options=options)


def _list_outstanding(context: RunContext, store: Store) -> list[QueuedAttempt]:
    """Return the attempts that are to be made; none if the question is settled."""
    rows = store.attempts(context.run_id)
    known = [to_ended(row) for row in rows if not row.is_owed]
    if Stopping(context.plan, known, context.part).is_settled():
        return []
    warmups = store.attempts(context.run_id, warmup=True)
    return list_outstanding(context.plan, rows, context.options.replace_infra, warmups)


def _continue(
    context: RunContext, session: Session, queue: Sequence[QueuedAttempt], allow_changed: bool
) -> int:
    from harness.cluster.pool import open_pool

    check_disk(context.folder, len(queue))
    options, revisions = context.options, context.plan.revisions
    now = fingerprint([], () if revisions else list_suite_files(options))
    parts = choose_parts(context.record, now, has_revisions=bool(revisions), allowed=allow_changed)
    context = replace(context, record=replace(context.record, parts=parts))
    settings = make_supervisor_settings(
        options, context.device, context.isolation, revisions, session.store.path
    )
    wanted = PoolSettings(
        kind=context.device,
        slots=options.slots or count_usable_cores(),
        address=options.address,
        supervisor=settings,
        shares=options.per_gpu,
        needed=min((planned.cell.tp for planned in context.plan.runnable), default=1),
    )
    with (
        hold_worktrees(revisions),
        open_pool(wanted) as pool,
    ):
        session.interruption.install()  # Ray has handlers of its own
        session.store.reopen_run(context.run_id, identify_driver(context.folder), parts)
        Console(stderr=True).print(messages.say_missing(context.run_id, len(queue)))
        return execute(context, pool, session, queue)

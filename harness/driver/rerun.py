"""One stored attempt again: same seed, cell and environment, and the same device if it is free."""

from typing import Any

from rich.console import Console
from rich.markup import escape

from harness.analysis.summary import cell_of
from harness.attempt.spec import Isolation
from harness.cluster.interface import DevicePool
from harness.core.exits import ExitCode
from harness.core.fold import fold
from harness.core.plan import PlannedAttempt, plan_from_dict
from harness.core.records import AttemptRow, RunRecord
from harness.core.result import AttemptResult, Ending
from harness.core.statuses import AttemptStatus
from harness.driver.options import RunOptions
from harness.driver.run import ending_of, make_spec


def rerun_once(row: AttemptRow, record: RunRecord, options: RunOptions, pool: DevicePool) -> int:
    """Run it once and print what it shows beside what was stored. Nothing is added to the store."""
    console = Console()
    gang = pool.lease_devices(row.devices)
    if gang is None:
        gang = pool.lease(len(row.devices))
        console.print(f"its devices {row.devices} are not here or not free: others are used")
    assert gang is not None, "the caller checked that a gang of this size exists"
    plan = plan_from_dict(record.plan)
    planned = PlannedAttempt(
        row.position, row.suite, cell_of(row.cell), row.repeat, row.seed, _deselected(plan, row)
    )
    isolation: Isolation = "fork" if row.isolation == "fork" else "spawn"
    spec = make_spec(row.run_id, f"{row.id}.rerun", planned, options, isolation, gang, plan)
    outcome = pool.collect(pool.start(gang, spec))
    if isinstance(outcome, str):
        result = fold([], Ending((), infrastructure=outcome))
    else:
        result = fold(outcome.events, ending_of(outcome, spec))
    console.print(f"{row.id}, seed {row.seed}: {escape(planned.cell.label)}")
    console.print(f"  then: {_stored_text(row)}")
    console.print(f"  now:  {_text(result)}")
    console.print(f"  logs: {spec.folder}")
    return _exit_code(result)


def _deselected(plan: Any, row: AttemptRow) -> tuple[str, ...]:
    for planned in plan.cells:
        if planned.suite == row.suite and planned.cell.key == row.cell:
            return tuple(planned.deselect)
    return ()


def _stored_text(row: AttemptRow) -> str:
    return f"{row.status}" + (f", {row.kind}: {escape(row.signature or '')}" if row.kind else "")


def _text(result: AttemptResult) -> str:
    failure = result.failure
    return result.status + (f", {failure.kind}: {escape(failure.signature)}" if failure else "")


def _exit_code(result: AttemptResult) -> int:
    return {
        AttemptStatus.PASSED: ExitCode.OK,
        AttemptStatus.FAILED: ExitCode.FAILURES,
        AttemptStatus.INFRA: ExitCode.NO_VALID_ATTEMPT,
    }[result.status]

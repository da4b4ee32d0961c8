"""`harness rerun ATTEMPT`: one stored attempt again, with the same seed, cell and environment."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.markup import escape

from harness.attempt.spec import Isolation
from harness.cluster.devices import count_usable_cores
from harness.cluster.interface import DevicePool, Loss
from harness.cluster.members import Gang
from harness.cluster.messages import PoolSettings
from harness.core.cell import parse_cell_key
from harness.core.errors import NoDeviceError
from harness.core.exits import ExitCode
from harness.core.fold import fold
from harness.core.plan import Plan, PlannedAttempt
from harness.core.records import AttemptRow
from harness.core.result import AttemptResult, Ending
from harness.core.revision import AXIS
from harness.core.statuses import AttemptStatus
from harness.driver.attempts import make_ending, make_spec
from harness.driver.context import RunContext
from harness.driver.processes import make_supervisor_settings
from harness.driver.restoring import restore_context
from harness.driver.revisions.worktrees import hold_worktrees
from harness.driver.stores import open_known_stores

_EXIT_CODES = {
    AttemptStatus.PASSED: ExitCode.OK,
    AttemptStatus.FAILED: ExitCode.FAILURES,
    AttemptStatus.INFRA: ExitCode.NO_VALID_ATTEMPT,
}


def rerun_attempt(name: str, location: str | None) -> int:
    """Make the attempt again, on the same devices if they are free. Return the exit code."""
    from harness.cluster.pool import open_pool

    row, context = _find(name, location)
    slots = context.options.slots or count_usable_cores()
    # Only the attempt's own revision is needed.
    label = parse_cell_key(row.cell).get(AXIS)
    revisions = [one for one in context.plan.revisions if one.label == label]
    settings = make_supervisor_settings(
        context.options, context.device, context.isolation, revisions
    )
    wanted = PoolSettings(
        kind=context.device, slots=slots, supervisor=settings, shares=context.options.per_gpu
    )
    with hold_worktrees(revisions), open_pool(wanted) as pool:
        result, folder = _run_once(context, row, pool)
    console = Console()
    what = f"{row.id}, a warm-up attempt" if row.warmup else row.id
    console.print(f"{what}, seed {row.seed}: {escape(parse_cell_key(row.cell).label)}")
    console.print(f"  then: {_describe_stored(row)}")
    console.print(f"  now:  {_describe(result)}")
    console.print(f"  logs: {folder}")
    return _EXIT_CODES[result.status]


def _find(name: str, location: str | None) -> tuple[AttemptRow, RunContext]:
    with open_known_stores(location) as stores:
        store, row = stores.find_attempt(name)
        context = restore_context(store.run(row.run_id))
    isolation: Isolation = "fork" if row.isolation == "fork" else "spawn"
    return row, replace(context, isolation=isolation)


def _run_once(context: RunContext, row: AttemptRow, pool: DevicePool) -> tuple[AttemptResult, str]:
    gang = _lease(row.devices, pool)
    planned = PlannedAttempt(
        *(row.position, row.suite, parse_cell_key(row.cell), row.repeat, row.seed),
        _find_deselected(context.plan, row),
    )
    spec = make_spec(context, f"{row.id}.rerun", planned, gang)
    outcome = pool.collect(pool.start(gang, spec))
    if isinstance(outcome, Loss):
        return fold([], Ending((), infrastructure=outcome.reason)), str(spec.folder)
    return fold(outcome.events, make_ending(outcome, spec)), str(spec.folder)


def _lease(devices: Sequence[str], pool: DevicePool) -> Gang:
    """Lease the same devices, or as many others. Raise NoDeviceError if there are too few."""
    gang = pool.lease_devices(devices)
    if gang is not None:
        return gang
    gang = pool.lease(len(devices))
    if gang is None:
        raise NoDeviceError(f"the attempt needs {len(devices)} free devices of one node")
    Console().print(f"its devices {list(devices)} are not here or not free: others are used")
    return gang


def _find_deselected(plan: Plan, row: AttemptRow) -> tuple[str, ...]:
    for planned in plan.cells:
        if planned.suite == row.suite and planned.cell.key == row.cell:
            return planned.deselect
    return ()


def _describe_stored(row: AttemptRow) -> str:
    return f"{row.status}" + (f", {row.kind}: {escape(row.signature or '')}" if row.kind else "")


def _describe(result: AttemptResult) -> str:
    failure = result.failure
    return result.status + (f", {failure.kind}: {escape(failure.signature)}" if failure else "")

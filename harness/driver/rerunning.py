"""One stored attempt as an attempt to be made again."""

from collections.abc import Sequence
from dataclasses import replace

from harness.attempt.spec import Isolation
from harness.core.cell import parse_cell_key
from harness.core.plan import PlannedAttempt
from harness.core.records import AttemptRow
from harness.core.revision import AXIS, Revision
from harness.driver.context import RunContext
from harness.driver.restoring import restore_context
from harness.driver.stores import open_known_stores


def find_attempt(name: str, location: str | None) -> tuple[AttemptRow, RunContext]:
    """Return a stored attempt and its run. Raise UsageError if there is no such attempt."""
    with open_known_stores(location) as stores:
        store, row = stores.find_attempt(name)
        context = restore_context(store.run(row.run_id))
    isolation: Isolation = "fork" if row.isolation == "fork" else "spawn"
    return row, replace(context, isolation=isolation)


def find_revisions(row: AttemptRow, context: RunContext) -> Sequence[Revision]:
    """Return the attempt's own revision: no other one is needed."""
    label = parse_cell_key(row.cell).get(AXIS)
    return [one for one in context.plan.revisions if one.label == label]


def plan_again(row: AttemptRow, context: RunContext) -> PlannedAttempt:
    """Return the attempt as the plan of its run has it."""
    return PlannedAttempt(
        *(row.position, row.suite, parse_cell_key(row.cell), row.repeat, row.seed),
        next(
            (
                planned.deselect
                for planned in context.plan.cells
                if planned.suite == row.suite and planned.cell.key == row.cell
            ),
            (),
        ),
    )

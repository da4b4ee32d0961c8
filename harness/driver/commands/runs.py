"""`harness runs`: one line per stored run, newest first."""

import time

from rich.console import Console

from harness.core.exits import ExitCode
from harness.core.plan import plan_from_dict, schedule
from harness.core.records import RunRecord
from harness.core.statuses import AttemptStatus
from harness.driver.ownership import describe_status
from harness.driver.stores import open_known_stores
from harness.report.listing import print_listing
from harness.report.views import Shape
from harness.store.store import Store

_COLUMNS = {
    "run": Shape.NUMBER,
    "started": Shape.NUMBER,
    "status": Shape.LABEL,
    "on": Shape.LABEL,
    "attempts": Shape.NUMBER,
    "failed": Shape.NUMBER,
    "suites": Shape.NAME,
}


def list_runs(location: str | None) -> int:
    """Print the runs of the stores. Return the exit code."""
    with open_known_stores(location) as stores:
        rows = [_describe(record, store) for store, record in stores.list_runs()]
    print_listing(Console(), _COLUMNS, rows)
    return ExitCode.OK


def _describe(record: RunRecord, store: Store) -> tuple[str, ...]:
    rows, plan = store.attempts(record.id), plan_from_dict(record.plan)
    return (
        record.id,
        time.strftime("%Y-%m-%d %H:%M", time.localtime(record.created)),
        describe_status(record),
        record.device,
        f"{len(rows)}/{len(schedule(plan))}",
        str(sum(row.status is AttemptStatus.FAILED for row in rows)),
        ", ".join(dict.fromkeys(planned.suite for planned in plan.cells)),
    )

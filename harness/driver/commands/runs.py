"""`harness runs`: one line per stored run, newest first."""

import time

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.core.exits import ExitCode
from harness.core.plan import plan_from_dict, schedule
from harness.core.records import RunRecord
from harness.core.statuses import AttemptStatus, RunStatus
from harness.driver.context import find_run_folder
from harness.driver.ownership import has_driver
from harness.store.open import open_store
from harness.store.store import Store

_COLUMNS = ("run", "started", "status", "device", "attempts", "failed", "suites")


def list_runs(location: str | None) -> int:
    """Print the runs of a store. Return the exit code."""
    store = open_store(location, write=False)
    try:
        table = Table(box=None)
        for name in _COLUMNS:
            table.add_column(name)
        for record in store.runs():
            table.add_row(*_describe(record, store))
        Console().print(table)
    finally:
        store.close()
    return ExitCode.OK


def describe_status(record: RunRecord) -> str:
    """Return how the run stands; one that is marked running may have lost its driver."""
    if record.status is RunStatus.RUNNING and not has_driver(find_run_folder(record.id)):
        return "running (its driver is gone: --resume goes on)"
    return record.status


def _describe(record: RunRecord, store: Store) -> tuple[str, ...]:
    rows, plan = store.attempts(record.id), plan_from_dict(record.plan)
    return (
        record.id,
        time.strftime("%Y-%m-%d %H:%M", time.localtime(record.created)),
        describe_status(record),
        record.device,
        f"{len(rows)}/{len(schedule(plan))}",
        str(sum(row.status is AttemptStatus.FAILED for row in rows)),
        escape(", ".join(dict.fromkeys(planned.suite for planned in plan.cells))),
    )

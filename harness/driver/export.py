"""A stored run for the writers of files: its report, rows, history and commands."""

import shlex
from collections.abc import Iterator

from harness.analysis.report_model import Report
from harness.core.plan import plan_from_dict
from harness.core.records import AttemptRow, RunRecord, TestOutcome
from harness.core.statuses import AttemptStatus
from harness.driver.declarations import Declared, list_declared
from harness.driver.options import RunOptions, read_options
from harness.report.run_export import HistoryPoint, RunExport
from harness.store.store import Store

#: So many earlier runs make the history.
_HISTORY = 30


def make_export(
    store: Store, record: RunRecord, attempts: list[AttemptRow], report: Report
) -> RunExport:
    """Return all that is stored of a run; outcomes are read when a format asks for them."""

    def read_outcomes() -> Iterator[TestOutcome]:
        return store.test_outcomes(record.id)

    return RunExport(
        report=report,
        attempts=attempts,
        read_outcomes=read_outcomes,
        command=format_command(read_options(record.options), record.seed),
        history=list_history(store, record),
    )


def list_history(store: Store, record: RunRecord) -> tuple[HistoryPoint, ...]:
    """Return the runs of the same suites up to this one, the oldest first."""
    suites = _list_suites(record)
    counts = store.count_attempts()
    points = [
        _make_point(run, counts.get(run.id, {}))
        for run in store.runs()
        if run.created <= record.created and _list_suites(run) == suites
    ]
    return tuple(reversed(points[:_HISTORY]))


def _list_suites(record: RunRecord) -> set[str]:
    return {planned.suite for planned in plan_from_dict(record.plan).cells}


def _make_point(run: RunRecord, counts: dict[str, int]) -> HistoryPoint:
    failed = counts.get(AttemptStatus.FAILED, 0)
    valid = failed + counts.get(AttemptStatus.PASSED, 0)
    return HistoryPoint(run.id, run.created, failed, valid, run.fingerprint.get("sha"))


def format_command(options: RunOptions, seed: int) -> str:
    """Return the command that makes the same plan again, with the same seeds."""
    words = ["harness", "run"]
    for declared in list_declared(RunOptions):
        value = getattr(options, declared.field)
        if value != declared.default and declared.field != "seed":
            words += _format_option(declared, value)
    return shlex.join([*words, "--seed", str(seed)])


def _format_option(declared: Declared, value: object) -> list[str]:
    option = declared.option
    if value is True:
        return [option.name]
    if not option.flags:
        return [str(one) for one in value] if isinstance(value, tuple) else [str(value)]
    if isinstance(value, tuple) and not option.listed:
        return [word for one in value for word in (option.name, str(one))]
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return [option.name, text]

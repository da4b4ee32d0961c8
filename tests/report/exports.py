"""Runs for the writers of files, with hostile outcomes."""

from collections.abc import Sequence
from dataclasses import replace

from harness.core.records import AttemptRow, TestOutcome
from harness.core.statuses import AttemptStatus
from harness.report.run_export import HistoryPoint, RunExport
from tests.report.runs import ASCENDING, DESCENDING, make_counts, report_counts

HOSTILE = "</script><img src=x onerror=alert(1)>&\"']]>\x00\x1b[31m\ud800\ufffe 🎉 日本語"


def make_outcome(attempt: AttemptRow, test: str, outcome: str = "passed") -> TestOutcome:
    failed = outcome == "failed"
    return TestOutcome(
        attempt_id=attempt.id,
        test=f"s.py::{test}",
        outcome=outcome,
        seconds=0.25,
        kind="assertion" if failed else None,
        phase="run" if failed else None,
        signature="sig" if failed else None,
        message=f"first line\n{HOSTILE}" if failed else None,
        reran=False,
        recovered=False,
    )


def make_export(repeats: int = 6, outcomes: Sequence[TestOutcome] | None = None) -> RunExport:
    """Return a run in which ascending failed once and lost an attempt to infrastructure."""
    counts = make_counts({ASCENDING: 1}, repeats, infra={DESCENDING: 1})
    rows = [
        replace(row, message=f"{row.message}\n{HOSTILE}") if row.status == "failed" else row
        for row in counts.attempts
    ]
    if outcomes is None:
        outcomes = [one for row in rows for one in list_outcomes(row)]
    history = (HistoryPoint("q", 0.5, 3, 12, None), HistoryPoint("r", 1.0, 1, 11, "a" * 40))
    report = report_counts(replace(counts, attempts=rows))
    chosen = list(outcomes)
    return RunExport(report, rows, lambda: iter(chosen), "harness run s.py --seed 7", history)


def list_outcomes(row: AttemptRow) -> list[TestOutcome]:
    if row.status is AttemptStatus.INFRA:
        return []
    ending = "failed" if row.status is AttemptStatus.FAILED else "passed"
    return [
        make_outcome(row, f"test_a[{HOSTILE}]", ending),
        make_outcome(row, "test_b", "precluded" if ending == "failed" else "skipped"),
        make_outcome(row, "test_c"),
    ]

"""Every outcome of a run in one order, for formats that list single test cases. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.core.records import AttemptRow, TestOutcome
from harness.core.result import Outcome
from harness.core.statuses import AttemptStatus
from harness.report.run_export import RunExport

#: The name of the entry for an attempt that ended without any test to blame.
WHOLE_ATTEMPT = "(attempt)"


@dataclass(frozen=True, slots=True)
class Entry:
    """One test of one attempt, or the attempt itself if it failed outside of every test."""

    attempt: AttemptRow
    outcome: TestOutcome


def list_entries(export: RunExport) -> Iterator[Entry]:
    """Yield the outcomes of all attempts in lease order."""
    by_id = {attempt.id: attempt for attempt in export.attempts}
    blamed: set[str] = set()
    for outcome in export.read_outcomes():
        if outcome.outcome == Outcome.FAILED:
            blamed.add(outcome.attempt_id)
        yield Entry(by_id[outcome.attempt_id], outcome)
    for attempt in export.attempts:
        if attempt.status is not AttemptStatus.PASSED and attempt.id not in blamed:
            yield Entry(attempt, _make_whole(attempt))


def _make_whole(attempt: AttemptRow) -> TestOutcome:
    return TestOutcome(
        attempt_id=attempt.id,
        test=f"{attempt.suite}::{WHOLE_ATTEMPT}",
        outcome=attempt.status.value,
        seconds=attempt.wall_seconds,
        kind=attempt.kind,
        phase=attempt.phase,
        signature=attempt.signature,
        message=attempt.message,
        reran=False,
        recovered=False,
    )

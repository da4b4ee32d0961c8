"""What a report says of the capture order asked for, and of attempts that captured nothing."""

from dataclasses import replace

import pytest

from harness.analysis.capture_order import CaptureOrder
from harness.analysis.run_counts import count_run
from harness.core.capture_measurement import CaptureMeasurement
from harness.core.statuses import AttemptStatus
from tests.report.runs import ASCENDING, make_counts


@pytest.mark.parametrize(
    ("requested", "observed", "is_other"),
    [
        ("ascending", "descending", True),
        ("ascending", "mixed", True),
        ("ascending", "ascending", False),
        ("", "descending", False),
        ("ascending", "unknown", False),
        ("ascending", "none", False),
    ],
)
def test_an_order_is_another_one_if_one_was_asked_for_and_seen(
    requested: str, observed: str, is_other: bool
) -> None:
    assert CaptureOrder(requested, observed).is_other is is_other


def list_notes(*, eager: int, failed: bool = False) -> tuple[str, ...]:
    """The notes of a cell of whose attempts some captured nothing."""
    counts = make_counts({}, repeats=10)
    rows = list(counts.attempts)
    for index in [i for i, row in enumerate(rows) if row.cell == ASCENDING.key][:eager]:
        status = AttemptStatus.FAILED if failed else AttemptStatus.PASSED
        rows[index] = replace(rows[index], capture=CaptureMeasurement(), status=status)
    return count_run(counts.run, rows, []).cells[0].notes


def test_attempts_that_passed_without_a_graph_are_noted_beside_others_that_captured() -> None:
    (note,) = list_notes(eager=2)
    assert note.startswith("2 of 10 ")


def test_a_cell_that_never_captures_has_no_such_note() -> None:
    assert list_notes(eager=10) == ()


def test_an_attempt_that_failed_may_not_have_come_to_its_captures() -> None:
    assert list_notes(eager=2, failed=True) == ()

"""What the writers of files receive: the report, and the attempts and outcomes behind it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.analysis.report_model import CellRate, Report
from harness.core.cell import Cell, parse_cell_key
from harness.core.records import AttemptRow, TestOutcome


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """An earlier run of the same suites: failed and valid attempts. `created`: since 1970."""

    run_id: str
    created: float
    failed: int
    valid: int
    sha: str | None


@dataclass(frozen=True, slots=True)
class RunExport:
    """A run for its writers. `read_outcomes` yields the outcomes attempt by attempt.

    `command` repeats the run; `history` are the runs of the same suites, this one the last.
    """

    report: Report
    attempts: Sequence[AttemptRow]
    read_outcomes: Callable[[], Iterator[TestOutcome]]
    command: str = ""
    history: Sequence[HistoryPoint] = field(default=())


def label_repeat(attempt: AttemptRow) -> str:
    """Return `repeat 3`, or `repeat 3, replacement 1`; repeats are counted from 1."""
    label = f"repeat {attempt.repeat + 1}"
    return f"{label}, replacement {attempt.replaces}" if attempt.replaces else label


def label_part(cell: CellRate, report: Report) -> str:
    """Return `, part 2` for a cell of a run that was resumed with changed files, else nothing."""
    return f", part {cell.part + 1}" if report.earlier else ""


def get_axes(attempt: AttemptRow) -> Cell:
    """Return the cell of an attempt."""
    return parse_cell_key(attempt.cell)

"""The tables of comparisons, of kinds of failure and of tests. Pure."""

from collections.abc import Sequence

from harness.analysis.report_model import (
    CellRate,
    ContrastResult,
    Report,
    TestRate,
    WarmupAttempt,
)
from harness.analysis.wording import format_kinds, format_rate
from harness.core.cell import Cell
from harness.core.statuses import AttemptStatus
from harness.report import wording
from harness.report.cell_table import label_cells
from harness.report.rate_text import get_limits, write_rate
from harness.report.views import (
    NOTHING,
    Column,
    Entry,
    Row,
    Shape,
    TableView,
    drop_empty_columns,
)


def make_contrast_table(contrasts: Sequence[ContrastResult]) -> TableView:
    """Return what each planned comparison came to."""
    names = ("compared", "failed", "difference [95 %]", "p", "finding")
    label, number = Shape.LABEL, Shape.NUMBER
    columns = tuple(map(Column, names, (label, label, number, number, label)))
    rows = [Row(tuple(map(Entry, _write_contrast(one))), one.rank) for one in contrasts]
    return drop_empty_columns(TableView("comparisons", (), (), columns, tuple(rows)))


def _write_contrast(one: ContrastResult) -> tuple[str, ...]:
    p = NOTHING if one.p_adjusted is None else f"{one.p_adjusted:.2g}"
    return name_contrast(one), write_counts(one), write_difference(one), p, one.finding.value


def name_contrast(one: ContrastResult) -> str:
    """Return `descending against ascending (fa3)`."""
    value, reference = (Cell(((one.axis, v),)).label for v in (one.value, one.reference))
    return f"{value} against {reference}" + (f" ({one.where})" if one.where else "")


def write_counts(one: ContrastResult) -> str:
    """Return `10/50 against 2/50`."""
    if one.counts is None:
        return NOTHING
    k, n, reference_k, reference_n = one.counts
    return f"{k}/{n} against {reference_k}/{reference_n}"


def write_difference(one: ContrastResult) -> str:
    """Return `+16 points [3, 29]`; points are of percent."""
    if one.difference is None or one.interval is None:
        return NOTHING
    low, high = (round(100 * bound) for bound in one.interval)
    return f"{round(100 * one.difference):+d} points [{low}, {high}]"


def make_kind_table(cells: Sequence[CellRate]) -> TableView:
    """Return each kind's own rate if several compete: an attempt fails of one kind only."""
    labels = label_cells(cells)
    found = sorted((kind, i) for i, cell in enumerate(cells) for kind in cell.kinds)
    if len({kind for kind, _ in found}) < 2:
        found = []
    columns = (
        Column("kind", Shape.LABEL),
        Column("cell", Shape.LABEL),
        Column("failed", Shape.NUMBER),
        Column("rate [95 %]", Shape.NUMBER),
    )
    rows = [_write_kind(kind, labels[i], cells[i]) for kind, i in found]
    return TableView("kinds", (cells[0].suite,), (), columns, tuple(rows))


def _write_kind(kind: str, label: str, cell: CellRate) -> Row:
    n = cell.kinds[kind]
    rate = format_rate(n, cell.valid, get_limits(cell.kind_intervals.get(kind)))
    return Row((Entry(kind), Entry(label), Entry(f"{n}/{cell.valid}"), Entry(rate)), -n)


def make_test_table(cells: Sequence[CellRate]) -> TableView:
    """Return the rates of a suite's tests that failed."""
    names = ("test", "cell", "failed", "rate [95 %]", "not reached", "recovered", "kinds")
    number = Shape.NUMBER
    shapes = (Shape.NAME, Shape.LABEL, number, number, number, number, Shape.LIST)
    rows = [
        Row(_write_test(test, label), -test.failed)
        for cell, label in zip(cells, label_cells(cells), strict=True)
        for test in cell.tests
        if test.failed
    ]
    columns = tuple(map(Column, names, shapes))
    return drop_empty_columns(TableView("tests", (cells[0].suite,), (), columns, tuple(rows)))


def _write_test(test: TestRate, label: str) -> tuple[Entry, ...]:
    return (
        Entry(test.name),
        Entry(label),
        Entry(f"{test.failed}/{test.valid}"),
        Entry(write_rate(test)),
        Entry(str(test.precluded or NOTHING)),
        Entry(f"{test.recovered}/{test.failed}" if test.recovered else NOTHING),
        Entry(format_kinds(test.kinds) or NOTHING),
    )


def list_warmups(report: Report) -> list[str]:
    """Return a line per warm-up attempt that did not pass: its id, cell, kind and signature."""
    return [
        wording.WARMUP.format(one.id, one.axes.label, _describe_warmup(one))
        for one in report.warmup
        if one.status is not AttemptStatus.PASSED
    ]


def _describe_warmup(one: WarmupAttempt) -> str:
    if not one.has_failed:
        return f"{one.status.value}: {one.message or NOTHING}"
    return f"{one.kind} in {one.phase or NOTHING}: {one.signature}"


def list_unreached(cells: Sequence[CellRate]) -> list[str]:
    """Return a sentence per cell with tests that never failed but were not always reached."""
    sentences = []
    for cell, label in zip(cells, label_cells(cells), strict=True):
        missed = [test for test in cell.tests if test.precluded and not test.failed]
        if missed:
            most = max(missed, key=lambda test: test.precluded)
            sentences.append(
                wording.UNREACHED.format(len(missed), most.precluded, label, most.name)
            )
    return sentences

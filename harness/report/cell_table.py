"""The table of cells: one row per cell, one table per suite or per group of like suites. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.analysis.report_model import CellRate, Report
from harness.analysis.wording import format_kinds, label_cell, label_common
from harness.report import wording
from harness.report.rate_text import write_rate
from harness.report.views import NOTHING, Column, Entry, Row, Shape, TableView

_MIB = 1 << 20

#: A cell of each suite that shares a table: alike in all that was counted.
Alike = Sequence[CellRate]


@dataclass(frozen=True, slots=True)
class _CellColumn:
    """`stated`: how the title says what all rows share; None if the column always stays."""

    column: Column
    write: Callable[[Alike], Entry]
    stated: str | None = None


def _write_order(alike: Alike) -> Entry:
    order = alike[0].order
    if order.is_other:
        return Entry(wording.OTHER_ORDER.format(order.observed, order.requested), marked=True)
    if order.is_as_asked:
        return Entry(wording.AS_ASKED)
    return Entry(NOTHING if order.observed in ("", "none") else order.observed)


def _write_range(values: Sequence[float]) -> str:
    low, high = (f"{value:.1f}" for value in (min(values), max(values)))
    return low if low == high else f"{low}-{high}"


def _write_memory(alike: Alike) -> Entry:
    captured = [cell.capture for cell in alike]
    if not any(one.pool_bytes or one.peak_bytes for one in captured):
        return Entry(NOTHING)
    pool, peak = (
        _write_range([count / _MIB for count in counts])
        for counts in ([one.pool_bytes for one in captured], [one.peak_bytes for one in captured])
    )
    return Entry(f"{pool} / {peak}")


def _write_seconds(alike: Alike) -> Entry:
    seconds = [cell.seconds for cell in alike]
    return Entry(_write_range(seconds) if any(seconds) else NOTHING)


_CELL_COLUMNS = (
    _CellColumn(
        Column("failed", Shape.NUMBER), lambda alike: Entry(f"{alike[0].failed}/{alike[0].valid}")
    ),
    _CellColumn(Column("rate [95 %]", Shape.NUMBER), lambda alike: Entry(write_rate(alike[0]))),
    _CellColumn(
        Column("infra", Shape.NUMBER),
        lambda alike: Entry(str(alike[0].infra or NOTHING)),
        "{} infrastructure attempts per cell",
    ),
    _CellColumn(Column("order seen", Shape.LABEL), _write_order, "capture order {}"),
    _CellColumn(Column("pool / peak MiB", Shape.NUMBER), _write_memory, "pool / peak {} MiB"),
    _CellColumn(Column("seconds", Shape.NUMBER), _write_seconds, "{} s per attempt"),
    _CellColumn(
        Column("kinds", Shape.LIST), lambda alike: Entry(format_kinds(alike[0].kinds) or NOTHING)
    ),
)


def make_earlier_tables(report: Report) -> list[tuple[str, TableView]]:
    """Return the tables of the parts before a change, each with its title."""
    return [
        (wording.EARLIER_TITLE.format(part.part + 1, "; ".join(part.changed)), view)
        for part in report.earlier
        for view in make_cell_tables(replace(report, cells=part.cells))
    ]


def group_by_suite(cells: Sequence[CellRate]) -> list[list[CellRate]]:
    """Return the cells of each suite, in the order of the plan."""
    by_suite: dict[str, list[CellRate]] = {}
    for cell in cells:
        by_suite.setdefault(cell.suite, []).append(cell)
    return list(by_suite.values())


def make_cell_tables(report: Report) -> list[TableView]:
    """Return a table of cells per suite; suites that are alike in every count share one."""
    shared: dict[tuple[object, ...], list[list[CellRate]]] = {}
    for cells in group_by_suite(report.cells):
        shared.setdefault(tuple(map(_count, cells)), []).append(cells)
    return [_make_cell_table(suites) for suites in shared.values()]


def _count(cell: CellRate) -> tuple[object, ...]:
    """Return all that must be equal for two cells to share a row: what was counted."""
    counted = (cell.failed, cell.passed, cell.infra, cell.interval)
    return cell.axes.key, *counted, tuple(sorted(cell.kinds.items())), cell.order


def _make_cell_table(suites: list[list[CellRate]]) -> TableView:
    first = suites[0]
    rows = list(zip(*suites, strict=True))
    written = {column: [column.write(alike) for alike in rows] for column in _CELL_COLUMNS}
    facts = [label_common([cell.axes for cell in first])]
    for column, entries in list(written.items()):
        if not _is_telling(column, entries):
            del written[column]
            facts += _state(column, entries[0])
    labels = [Entry(label) for label in label_cells(first)]
    columns = [Column("cell", Shape.LABEL), *(column.column for column in written)]
    return TableView(
        "cells",
        tuple(cells[0].suite for cells in suites),
        tuple(filter(None, facts)),
        tuple(columns),
        tuple(
            Row(entries, -(cell.rate or 0), _is_quiet(cell))
            for cell, entries in zip(
                first, zip(labels, *written.values(), strict=True), strict=True
            )
        ),
    )


def _is_telling(column: _CellColumn, entries: Sequence[Entry]) -> bool:
    """Whether a column says something that its table's title cannot say for all rows."""
    texts = {entry.text for entry in entries}
    if len(texts) > 1 or entries[0].marked:
        return True
    if texts <= {NOTHING, wording.AS_ASKED}:
        return False
    return column.stated is None or len(entries) == 1


def _state(column: _CellColumn, entry: Entry) -> list[str]:
    known = column.stated is not None and entry.text != NOTHING
    return [str(column.stated).format(entry.text)] if known else []


def _is_quiet(cell: CellRate) -> bool:
    """Whether nothing happened in the cell, so that a long table may hide it."""
    return not (cell.failed or cell.infra or cell.order.is_other) and cell.valid > 0


def label_cells(cells: Sequence[CellRate]) -> list[str]:
    """Return what varies among a suite's cells, or their names if that does not tell them apart."""
    axes = [cell.axes for cell in cells]
    labels = [label_cell(cell, axes) for cell in axes]
    if len(set(labels)) < len(cells) or "" in labels:
        return [cell.name for cell in cells]
    return labels

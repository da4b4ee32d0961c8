"""Series of rates across stored runs."""

from dataclasses import replace

import pytest

from harness.analysis.history import collect_series
from harness.core.cell import Cell
from harness.core.records import AttemptRow, RunRecord, TestCount
from harness.core.statuses import AttemptStatus
from harness.driver.commands.history import draw_sparkline, list_changes
from tests.driver.test_compare import row

CELL = Cell((("order", "ascending"),))


def stored(
    name: str, created: float, failed: int
) -> tuple[RunRecord, list[AttemptRow], list[TestCount]]:
    record = RunRecord(name, created, 7, "cpu", {}, {}, {"sha": f"{name}c0ffee"})
    rows = [row(i, CELL, failed=i < failed) for i in range(20)]
    rows.append(replace(row(20, CELL, failed=False), status=AttemptStatus.INFRA))
    counts = [
        TestCount("s.py", CELL.key, "s.py::test_a", "passed", None, 0, 20 - failed),
        TestCount("s.py", CELL.key, "s.py::test_a", "failed", "assertion", 0, failed),
        TestCount("s.py", CELL.key, "s.py::test_b", "precluded", None, 0, 3),
    ]
    return record, rows, counts


RUNS = [stored(f"r{i}", float(i), 0 if i < 10 else 8) for i in range(16)]


def test_a_suite_has_one_series_per_cell_in_the_order_of_time() -> None:
    (series,) = collect_series(reversed(RUNS))
    assert (series.name, series.cell, series.attempts, series.failed) == (
        "s.py",
        CELL.label,
        320,
        48,
    )
    assert [point.run_id for point in series.points] == [f"r{i}" for i in range(16)]
    (change,) = series.find_changes()
    assert series.points[change.index].commit == "r10c0ffee"


@pytest.mark.parametrize(("test", "names"), [("test_", ["s.py::test_a"]), ("missing", [])])
def test_tests_are_found_by_a_part_of_their_id(test: str, names: list[str]) -> None:
    assert [series.name for series in collect_series(RUNS, test)] == names


def test_a_sparkline_has_a_bar_per_run() -> None:
    assert draw_sparkline([0.0, 0.5, 1.0]) == "▁▅█"


def test_a_series_without_a_change_lists_none() -> None:
    (steady,) = collect_series(RUNS[:4])
    assert list_changes(steady) == "-"
    (changed,) = collect_series(RUNS)
    assert "r10 (r10c0ffee)" in list_changes(changed)

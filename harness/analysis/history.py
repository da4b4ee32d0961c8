"""Rates of one suite or test in one cell across stored runs, and where they changed. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.core.cell import Cell, parse_cell_key
from harness.core.records import AttemptRow, RunRecord, TestCount
from harness.core.revision import AXIS
from harness.core.statuses import VALID, AttemptStatus
from harness.stats.change_points import Change, RunTally, find_changes


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """One run's attempts of one test in one cell, with the commit it measured."""

    run_id: str
    created: float
    commit: str
    tally: RunTally


@dataclass(frozen=True, slots=True)
class Series:
    """One suite or test in one cell, over runs in the order of time."""

    name: str
    cell: str
    points: tuple[HistoryPoint, ...]

    @property
    def failed(self) -> int:
        """Failures over all runs."""
        return sum(point.tally.failed for point in self.points)

    @property
    def attempts(self) -> int:
        """Valid attempts over all runs."""
        return self.failed + sum(point.tally.passed for point in self.points)

    def find_changes(self) -> list[Change]:
        """Return where the rate changed."""
        return find_changes([point.tally for point in self.points])


#: A run with its attempts and, if tests are asked for, its counts of tests.
StoredRun = tuple[RunRecord, Sequence[AttemptRow], Sequence[TestCount]]


def collect_series(runs: Iterable[StoredRun], test: str | None = None) -> list[Series]:
    """Return a series per suite and cell; with `test`, per test whose id contains it, and cell.

    `runs`: in any order. Revisions are told apart by commit, not by cell.
    """
    found: dict[tuple[str, str], list[HistoryPoint]] = {}
    for record, attempts, counts in sorted(runs, key=lambda run: run[0].created):
        # A run that was resumed with changed files is one point: what it measured last.
        last = max((row.part for row in attempts), default=0)
        rows = [row for row in attempts if row.part == last]
        tests = [count for count in counts if count.part == last]
        tallies = _count_suites(rows) if test is None else _count_tests(tests, test)
        for (name, key), tally in tallies.items():
            cell = parse_cell_key(key)
            label = Cell(tuple((n, v) for n, v in cell.axes if n != AXIS)).label
            commit = str(cell.get(AXIS) or record.fingerprint.get("sha") or "")[:12]
            point = HistoryPoint(record.id, record.created, commit, tally)
            found.setdefault((name, label), []).append(point)
    return [Series(name, label, tuple(points)) for (name, label), points in found.items()]


def _count_suites(attempts: Sequence[AttemptRow]) -> dict[tuple[str, str], RunTally]:
    found: dict[tuple[str, str], list[int]] = {}
    for row in attempts:
        if row.status in VALID:
            counts = found.setdefault((row.suite, row.cell), [0, 0])
            counts[row.status is AttemptStatus.PASSED] += 1
    return {key: RunTally(*counts) for key, counts in found.items()}


def _count_tests(counts: Sequence[TestCount], test: str) -> dict[tuple[str, str], RunTally]:
    found: dict[tuple[str, str], list[int]] = {}
    for one in counts:
        if test in one.test and one.outcome in ("passed", "failed"):
            tally = found.setdefault((one.test, one.cell), [0, 0])
            tally[one.outcome == "passed"] += one.n
    return {key: RunTally(*tally) for key, tally in found.items()}

"""A stored run, counted: what every report format renders. Pure: rows in, values out."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from harness.core.cell import Cell, cell_from_dict
from harness.core.kinds import Kind
from harness.core.plan import Plan, PlannedCell, plan_from_dict, schedule
from harness.core.signature import fingerprint
from harness.stats.intervals import Interval, clopper_pearson, confidence_sequence
from harness.store.records import AttemptRow, RunRecord
from harness.store.store import TestCount

DETERMINISTIC = "deterministic"


@dataclass(slots=True)
class TestSummary:
    """One test in one cell. Precluded outcomes are outside its denominator."""

    __test__ = False

    id: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    precluded: int = 0
    recovered: int = 0
    kinds: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class CellSummary:
    """One suite in one cell, counted. `interval` is None for repeats of one fixed seed."""

    suite: str
    cell: Cell
    planned: int
    passed: int
    failed: int
    infra: int
    censored: int
    unfinished: int
    kinds: dict[str, int]
    interval: Interval | None
    order_requested: str
    order_observed: str
    graphs: str
    pool_bytes: int
    peak_bytes: int
    capture_seconds: float
    trace: list[dict[str, Any]]
    tests: list[TestSummary]
    notes: list[str]
    seconds: float

    @property
    def valid(self) -> int:
        """Attempts that count: passed and failed."""
        return self.passed + self.failed

    @property
    def worst_case(self) -> tuple[float, float]:
        """The rate if every censored attempt had passed, and if every one had failed."""
        n = self.valid + self.censored
        return (self.failed / n, (self.failed + self.censored) / n) if n else (0.0, 1.0)

    @property
    def rate(self) -> float | None:
        """k/n over valid attempts; None where there is none."""
        return self.failed / self.valid if self.valid else None


@dataclass(frozen=True, slots=True)
class SignatureCount:
    """One failure signature and how many attempts of the run it named."""

    id: str
    signature: str
    kind: str
    phase: str
    n: int
    example: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run, counted."""

    run: RunRecord
    plan: Plan
    cells: list[CellSummary]
    refused: list[PlannedCell]
    signatures: list[SignatureCount]
    infra_reasons: list[str]

    @property
    def complete(self) -> bool:
        """All that was planned has ended, infrastructure included."""
        return all(cell.unfinished == 0 for cell in self.cells)

    @property
    def graphs(self) -> str:
        """`cuda`, `recorded`, both, or empty where nothing was captured."""
        return "+".join(sorted({cell.graphs for cell in self.cells if cell.graphs}))


def summarise(
    run: RunRecord, attempts: Sequence[AttemptRow], tests: Sequence[TestCount]
) -> RunSummary:
    """Count a stored run. A replaced infra attempt counts beside its successor."""
    plan = plan_from_dict(run.plan)
    by_cell: dict[tuple[str, str], list[AttemptRow]] = {}
    for attempt in attempts:
        by_cell.setdefault((attempt.suite, attempt.cell), []).append(attempt)
    tests_of = _tests_by_cell(tests)
    ended = {attempt.position for attempt in attempts if attempt.status != "censored"}
    finished = len(ended) == len(schedule(plan))
    cells = [
        _cell(plan, planned, by_cell.get(key, []), tests_of.get(key, []), finished)
        for planned in plan.runnable
        for key in [(planned.suite, planned.cell.key)]
    ]
    return RunSummary(
        run,
        plan,
        cells,
        [planned for planned in plan.cells if planned.refused],
        _signatures(attempts),
        [f"{a.id}: {a.message}" for a in attempts if a.status == "infra"],
    )


def _cell(
    plan: Plan,
    planned: PlannedCell,
    rows: list[AttemptRow],
    tests: list[TestSummary],
    finished: bool,
) -> CellSummary:
    status = Counter(row.status for row in rows)
    failed, passed = status["failed"], status["passed"]
    captured = [row for row in rows if row.graphs]
    last = captured[-1] if captured else None
    return CellSummary(
        suite=planned.suite,
        cell=planned.cell,
        planned=plan.repeats,
        passed=passed,
        failed=failed,
        infra=status["infra"],
        censored=status["censored"],
        unfinished=plan.repeats - len({r.position for r in rows if r.status != "censored"}),
        kinds=dict(Counter(row.kind for row in rows if row.status == "failed" and row.kind)),
        interval=_interval(plan, failed, failed + passed, finished),
        order_requested=last.order_requested if last else str(planned.cell.get("order", "")),
        order_observed=_observed(captured),
        graphs=last.graphs if last else "",
        pool_bytes=int(median(row.pool_bytes for row in captured)) if captured else 0,
        peak_bytes=max((row.peak_bytes for row in captured), default=0),
        capture_seconds=median(row.capture_seconds for row in captured) if captured else 0.0,
        trace=last.trace if last else [],
        tests=tests,
        notes=_notes(planned, rows),
        seconds=median(row.wall_seconds for row in rows) if rows else 0.0,
    )


def _interval(plan: Plan, failed: int, valid: int, finished: bool) -> Interval | None:
    """Clopper-Pearson where the plan was completed, else the anytime-valid sequence."""
    if plan.fixed_seed:
        return None
    return clopper_pearson(failed, valid) if finished else confidence_sequence(failed, valid)


def _observed(captured: list[AttemptRow]) -> str:
    names = sorted({row.order_observed for row in captured})
    return "+".join(names) if names else "none"


def _notes(planned: PlannedCell, rows: list[AttemptRow]) -> list[str]:
    """Each distinct note once, with the number of attempts that carried it."""
    counted = Counter(note for row in rows for note in row.notes)
    return [*planned.notes, *(f"{note} ({n} attempts)" for note, n in counted.most_common(20))]


def _tests_by_cell(counts: Sequence[TestCount]) -> dict[tuple[str, str], list[TestSummary]]:
    found: dict[tuple[str, str], dict[str, TestSummary]] = {}
    for count in counts:
        tests = found.setdefault((count.suite, count.cell), {})
        test = tests.setdefault(count.test, TestSummary(count.test))
        setattr(test, count.outcome, getattr(test, count.outcome) + count.n)
        if count.kind:
            test.kinds[count.kind] += count.n
        if count.recovered:
            test.recovered += count.n
    return {key: list(tests.values()) for key, tests in found.items()}


def _signatures(attempts: Sequence[AttemptRow]) -> list[SignatureCount]:
    counted: dict[str, list[AttemptRow]] = {}
    for attempt in attempts:
        if attempt.status == "failed" and attempt.signature:
            counted.setdefault(attempt.signature, []).append(attempt)
    return sorted(
        (
            SignatureCount(
                fingerprint(text),
                text,
                rows[0].kind or Kind.ERROR.value,
                rows[0].phase or "",
                len(rows),
                rows[0].id,
            )
            for text, rows in counted.items()
        ),
        key=lambda count: -count.n,
    )


def cell_of(key: str) -> Cell:
    """The cell that a stored key names."""
    return cell_from_dict(json.loads(key))

"""A stored run, counted: what every report format renders. Pure: rows in, values out."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import median
from typing import Any

from harness.core.cell import Cell, cell_from_dict
from harness.core.kinds import Kind
from harness.core.plan import Plan, PlannedCell, plan_from_dict
from harness.core.signature import fingerprint
from harness.report.question import names_of, outcomes_of
from harness.stats.intervals import Interval, clopper_pearson, confidence_sequence, worst_case
from harness.stats.question import CellOutcomes
from harness.store.records import AttemptRow, RunRecord
from harness.store.store import TestCount

#: How a rate is bounded: failed, valid and level to an interval.
Bound = Callable[[int, int, float], Interval]


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
    """One suite in one cell, counted. `name` is unique in the run.

    `interval` is None for repeats of one fixed seed; `worst_case`, which holds whatever the
    infrastructure and censored attempts would have been, where there are none.
    """

    name: str
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
    worst_case: Interval | None
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
    """A run, counted.

    `attempts` are its rows in lease order, `outcomes` what a decision may use, by cell name.
    """

    run: RunRecord
    plan: Plan
    attempts: Sequence[AttemptRow]
    outcomes: dict[str, CellOutcomes]
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
    names = names_of(plan.runnable)
    by_cell: dict[tuple[str, str], list[AttemptRow]] = {}
    for attempt in attempts:
        by_cell.setdefault((attempt.suite, attempt.cell), []).append(attempt)
    tests_of = _tests_by_cell(tests)
    outcomes = outcomes_of(plan, attempts)
    finished = all(cell.remaining == 0 for cell in outcomes.values())
    bound = _bound(plan, finished)
    cells = [
        _cell(
            name, plan, planned, by_cell.get(key, []), tests_of.get(key, []), outcomes[name], bound
        )
        for planned in plan.runnable
        for key, name in [
            ((planned.suite, planned.cell.key), names[planned.suite, planned.cell.key])
        ]
    ]
    return RunSummary(
        run,
        plan,
        attempts,
        outcomes,
        cells,
        [planned for planned in plan.cells if planned.refused],
        _signatures(attempts),
        [f"{a.id}: {a.message}" for a in attempts if a.status == "infra"],
    )


def _cell(
    name: str,
    plan: Plan,
    planned: PlannedCell,
    rows: list[AttemptRow],
    tests: list[TestSummary],
    in_order: CellOutcomes,
    bound: Bound | None,
) -> CellSummary:
    status = Counter(row.status for row in rows)
    failed, passed = status["failed"], status["passed"]
    captured = [row for row in rows if row.graphs]
    last = captured[-1] if captured else None
    unknown = status["infra"] + status["censored"]
    return CellSummary(
        name=name,
        suite=planned.suite,
        cell=planned.cell,
        planned=plan.repeats,
        passed=passed,
        failed=failed,
        infra=status["infra"],
        censored=status["censored"],
        unfinished=plan.repeats - len({r.position for r in rows if r.status != "censored"}),
        kinds=dict(Counter(row.kind for row in rows if row.status == "failed" and row.kind)),
        interval=bound(in_order.failed, in_order.valid, 0.95) if bound else None,
        worst_case=worst_case(failed, passed, unknown, bound=bound) if bound and unknown else None,
        order_requested=last.order_requested if last else str(planned.cell.get("order", "")),
        order_observed=_observed(captured),
        graphs=last.graphs if last else "",
        pool_bytes=int(median(row.pool_bytes for row in captured)) if captured else 0,
        peak_bytes=max((row.peak_bytes for row in captured), default=0),
        capture_seconds=median(row.capture_seconds for row in captured) if captured else 0.0,
        trace=last.trace if last else [],
        tests=tests,
        notes=_notes(planned, rows, in_order),
        seconds=median(row.wall_seconds for row in rows) if rows else 0.0,
    )


def _bound(plan: Plan, finished: bool) -> Bound | None:
    """Clopper-Pearson where a plan was completed that nobody looked into, else the sequence.

    None for repeats of one fixed seed, which are one observation.
    """
    if plan.fixed_seed:
        return None
    return clopper_pearson if finished and not plan.until_decided else confidence_sequence


def _observed(captured: list[AttemptRow]) -> str:
    names = sorted({row.order_observed for row in captured})
    return "+".join(names) if names else "none"


def _notes(planned: PlannedCell, rows: list[AttemptRow], in_order: CellOutcomes) -> list[str]:
    """Each distinct note once, with the number of attempts that carried it."""
    counted = Counter(note for row in rows for note in row.notes)
    noted = [*planned.notes, *(f"{note} ({n} attempts)" for note, n in counted.most_common(20))]
    valid = sum(row.status in ("passed", "failed") for row in rows)
    if in_order.valid != valid:
        noted.append(
            f"the interval is that of the first {in_order.valid} valid attempts in lease order, "
            f"the {valid - in_order.valid} after one that did not finish left out"
        )
    return noted


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


@lru_cache(maxsize=4096)
def cell_of(key: str) -> Cell:
    """The cell that a stored key names."""
    return cell_from_dict(json.loads(key))

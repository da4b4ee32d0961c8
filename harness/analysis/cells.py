"""One suite in one cell, counted: rates, intervals, what was captured. Pure."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from harness.core.cell import Cell
from harness.core.plan import Plan, PlannedCell
from harness.core.records import AttemptRow
from harness.core.signature import normalise
from harness.core.statuses import VALID, AttemptStatus
from harness.stats.intervals import (
    Interval,
    compute_clopper_pearson,
    compute_confidence_sequence,
    compute_worst_case,
)
from harness.stats.planned import CellOutcomes

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
    interval: Interval | None = None


@dataclass(slots=True)
class CellSummary:
    """One suite in one cell, counted. `name` is unique in the run.

    `kind_intervals` are those of competing kinds: an attempt fails of one kind only.
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
    kind_intervals: dict[str, Interval]
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


def count_cell(
    name: str,
    plan: Plan,
    planned: PlannedCell,
    rows: list[AttemptRow],
    tests: list[TestSummary],
    in_order: CellOutcomes,
    bound: Bound | None,
) -> CellSummary:
    """Count one cell's rows; `in_order` is what a decision may use of them."""
    status = Counter(row.status for row in rows)
    failed, passed = status[AttemptStatus.FAILED], status[AttemptStatus.PASSED]
    captured = [row for row in rows if row.graphs]
    last = captured[-1] if captured else None
    infra, censored = status[AttemptStatus.INFRA], status[AttemptStatus.CENSORED]
    unknown = infra + censored
    in_rate = [row for row in rows if row.status is AttemptStatus.FAILED]
    kinds = dict(Counter(row.kind for row in in_rate if row.kind))
    for test in tests:
        test.interval = bound(test.failed, test.failed + test.passed, 0.95) if bound else None
    return CellSummary(
        name=name,
        suite=planned.suite,
        cell=planned.cell,
        planned=plan.repeats,
        passed=passed,
        failed=failed,
        infra=infra,
        censored=censored,
        unfinished=plan.repeats
        - len({r.position for r in rows if r.status is not AttemptStatus.CENSORED}),
        kinds=kinds,
        kind_intervals={k: bound(n, failed + passed, 0.95) for k, n in kinds.items()}
        if bound
        else {},
        interval=bound(in_order.failed, in_order.valid, 0.95) if bound else None,
        worst_case=compute_worst_case(failed, passed, unknown, bound=bound)
        if bound and unknown
        else None,
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


def bound_of(plan: Plan, finished: bool) -> Bound | None:
    """Clopper-Pearson where a plan was completed that nobody looked into, else the sequence.

    None for repeats of one fixed seed, which are one observation.
    """
    if plan.fixed_seed:
        return None
    return (
        compute_clopper_pearson
        if finished and not plan.until_decided
        else compute_confidence_sequence
    )


def _observed(captured: list[AttemptRow]) -> str:
    names = sorted({row.order_observed for row in captured})
    return "+".join(names) if names else "none"


def _notes(planned: PlannedCell, rows: list[AttemptRow], in_order: CellOutcomes) -> list[str]:
    """Notes that differ in numbers and addresses alone once, with the number of attempts."""
    alike: dict[str, list[str]] = {}
    for row in rows:
        for key, note in {normalise(note): note for note in row.notes}.items():
            alike.setdefault(key, []).append(note)
    often = sorted(alike.values(), key=len, reverse=True)[:20]
    noted = [*planned.notes, *(f"{same[0]} ({len(same)} attempts)" for same in often)]
    valid = sum(row.status in VALID for row in rows)
    if in_order.valid != valid:
        noted.append(
            f"the interval is that of the first {in_order.valid} valid attempts in lease order, "
            f"the {valid - in_order.valid} after one that did not finish left out"
        )
    return noted

"""One suite in one cell, counted: rates, intervals, what was captured. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from harness.analysis.report_model import CellRate, TestRate
from harness.core.capture_measurement import CaptureMeasurement
from harness.core.plan import Plan, PlannedCell
from harness.core.records import AttemptRow, TestCount
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
Bound = Callable[[float, float, float], Interval]


@dataclass(frozen=True, slots=True)
class CellRecords:
    """What is stored of one cell; `in_order` is what a decision may use of it."""

    attempts: Sequence[AttemptRow]
    tests: Sequence[TestCount]
    in_order: CellOutcomes
    part: int = 0


def choose_bound(plan: Plan, finished: bool) -> Bound | None:
    """Return Clopper-Pearson for a completed plan that nobody looked into, else the sequence.

    Return None for repeats of one fixed seed, which are one observation.
    """
    if plan.fixed_seed:
        return None
    looked_at = plan.until_decided or not finished
    return compute_confidence_sequence if looked_at else compute_clopper_pearson


def count_cell(
    name: str, plan: Plan, planned: PlannedCell, records: CellRecords, bound: Bound | None
) -> CellRate:
    """Return one cell's counts and rates, bounded by `bound`."""
    rows, in_order = records.attempts, records.in_order
    status = Counter(row.status for row in rows)
    failed, passed = status[AttemptStatus.FAILED], status[AttemptStatus.PASSED]
    unknown = status[AttemptStatus.INFRA] + status[AttemptStatus.CENSORED]
    kinds = Counter(r.kind for r in rows if r.status is AttemptStatus.FAILED and r.kind)
    unknown_before = count_unended(rows)
    by_kind = {
        k: compute_worst_case(n, failed + passed - n, unknown_before, bound=bound)
        for k, n in kinds.items()
        if bound
    }
    worst = compute_worst_case(failed, passed, unknown, bound=bound) if bound and unknown else None
    return CellRate(
        name=name,
        suite=planned.suite,
        axes=planned.cell,
        planned=plan.repeats,
        passed=passed,
        failed=failed,
        infra=status[AttemptStatus.INFRA],
        censored=status[AttemptStatus.CENSORED],
        kinds=dict(kinds),
        kind_intervals=by_kind,
        interval=bound(in_order.failed, in_order.valid, 0.95) if bound else None,
        worst_case=worst,
        seconds=median(row.wall_seconds for row in rows) if rows else 0.0,
        capture=_summarise_capture(planned, rows),
        tests=count_tests(records.tests, bound, unknown_before),
        notes=_collect_notes(planned, rows, in_order),
        part=records.part,
    )


def count_unended(rows: Sequence[AttemptRow]) -> int:
    """Return how many of a cell's attempts before the last that ended have not ended.

    Attempts that hang end last: without them, those that ended would not be a fair sample.
    """
    planned = [row for row in rows if not row.replaces]
    ended = [row.repeat for row in planned if row.status is not AttemptStatus.CENSORED]
    if not ended:
        return 0
    return max(ended) - min(row.repeat for row in planned) + 1 - len(ended)


def count_tests(
    counts: Iterable[TestCount], bound: Bound | None, unknown: int
) -> tuple[TestRate, ...]:
    """Return each test's outcomes over the valid attempts of one cell.

    `unknown`: attempts in which it may have failed or passed.
    """
    by_test: dict[str, list[TestCount]] = defaultdict(list)
    for count in counts:
        by_test[count.test].append(count)
    return tuple(_count_test(test, found, bound, unknown) for test, found in by_test.items())


def _count_test(
    test: str, counts: Sequence[TestCount], bound: Bound | None, unknown: int
) -> TestRate:
    outcomes, kinds = Counter[str](), Counter[str]()
    for count in counts:
        outcomes[count.outcome] += count.n
        if count.kind:
            kinds[count.kind] += count.n
    failed, passed = outcomes["failed"], outcomes["passed"]
    return TestRate(
        id=test,
        passed=passed,
        failed=failed,
        skipped=outcomes["skipped"],
        precluded=outcomes["precluded"],
        recovered=sum(count.n for count in counts if count.recovered),
        kinds=dict(kinds),
        interval=compute_worst_case(failed, passed, unknown, bound=bound) if bound else None,
    )


def _summarise_capture(planned: PlannedCell, rows: Sequence[AttemptRow]) -> CaptureMeasurement:
    """Return the last attempt's capture, with medians and the greatest peak of all attempts."""
    captured = [row.capture for row in rows if row.capture.graphs]
    requested = str(planned.cell.get("order", ""))
    if not captured:
        return CaptureMeasurement(requested=requested)
    return replace(
        captured[-1],
        requested=captured[-1].requested or requested,
        observed="+".join(sorted({one.observed for one in captured})),
        pool_bytes=int(median(one.pool_bytes for one in captured)),
        peak_bytes=max(one.peak_bytes for one in captured),
        seconds=median(one.seconds for one in captured),
    )


def _note_eager(rows: Sequence[AttemptRow]) -> list[str]:
    """Note attempts that passed without a graph although others of the cell captured some.

    An attempt that failed may have ended before it came to its captures.
    """
    passed = [row for row in rows if row.status is AttemptStatus.PASSED]
    eager = sum(not row.capture.graphs for row in passed)
    if not eager or not any(row.capture.graphs for row in rows):
        return []
    text = "captured no graph, and others of this cell did: did they fall back to eager execution?"
    return [f"{eager} of {len(passed)} passed attempts {text}"]


def _collect_notes(
    planned: PlannedCell, rows: Sequence[AttemptRow], in_order: CellOutcomes
) -> tuple[str, ...]:
    """Return notes with their number of attempts; those alike but for numbers count as one."""
    alike: dict[str, list[str]] = {}
    for row in rows:
        for key, note in {normalise(note): note for note in row.notes}.items():
            alike.setdefault(key, []).append(note)
    often = sorted(alike.values(), key=len, reverse=True)[:20]
    noted = [*planned.notes, *(f"{same[0]} ({len(same)} attempts)" for same in often)]
    noted += _note_eager(rows)
    valid = sum(row.status in VALID for row in rows)
    if in_order.valid != valid:
        noted.append(
            f"the interval is that of the first {in_order.valid} valid attempts in lease order, "
            f"the {valid - in_order.valid} after one that did not finish left out"
        )
    return tuple(noted)

"""What a plan set out to decide, and what its attempts say to it. Pure: plan and rows to values.

On every axis each other value is compared with the first, the reference, where all other axes are
equal. The plan fixes these pairs, hence their number, before the first attempt.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from harness.core.cell import Cell, Value
from harness.core.plan import Plan, PlannedCell, schedule
from harness.core.revision import AXIS
from harness.core.statuses import AttemptStatus
from harness.stats.planned import CellOutcomes, PlannedContrast, Question
from harness.stats.sequential import Outcome


class Ended(Protocol):
    """An attempt that ended, as far as a decision needs it. `replaces` above 0: a replacement."""

    @property
    def position(self) -> int:
        """Place in the plan's queue."""

    @property
    def replaces(self) -> int:
        """0 for an attempt of the plan itself."""

    @property
    def suite(self) -> str:
        """The suite's node id."""

    @property
    def cell(self) -> str:
        """The cell's key."""

    @property
    def status(self) -> AttemptStatus:
        """How it ended."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two planned cells that differ on one axis alone. `arm` and `base` are their names."""

    suite: str
    axis: str
    value: Value
    reference: Value
    where: str
    arm: str
    base: str


def pairs_of(plan: Plan) -> list[Pair]:
    """Every comparison that the plan holds."""
    base = plan.revisions[0].label if plan.revisions else None
    # Where the base holds no such suite, there is nothing to compare a head with.
    return [p for p in _pairs(plan.runnable) if p.axis != AXIS or p.reference == base]


def _pairs(cells: Sequence[PlannedCell]) -> Iterator[Pair]:
    names = names_of(cells)
    references: dict[tuple[str, str], Value] = {}
    for planned in cells:
        for axis, value in planned.cell.axes:
            references.setdefault((planned.suite, axis), value)
    for planned in cells:
        for axis, value in planned.cell.axes:
            reference = references[planned.suite, axis]
            base = names.get((planned.suite, _with(planned.cell, axis, reference).key))
            if value != reference and base:
                arm = names[planned.suite, planned.cell.key]
                where = _where(planned, axis, cells)
                yield Pair(planned.suite, axis, value, reference, where, arm, base)


def names_of(cells: Sequence[PlannedCell]) -> dict[tuple[str, str], str]:
    """A name of each cell, unique in the run, by suite and cell key: what varies."""
    several = len({planned.suite for planned in cells}) > 1
    varied = {n for p in cells for n, v in p.cell.axes if v != cells[0].cell.get(n)}
    names = {}
    for planned in cells:
        shown = Cell(tuple((n, v) for n, v in planned.cell.axes if n in varied)).label
        parts = (shown, planned.suite if several or not shown else "")
        names[planned.suite, planned.cell.key] = ", ".join(part for part in parts if part)
    return names


def _with(cell: Cell, axis: str, value: Value) -> Cell:
    return Cell(tuple((name, value if name == axis else old) for name, old in cell.axes))


def _where(planned: PlannedCell, axis: str, cells: Sequence[PlannedCell]) -> str:
    """The other axes that vary in this run, so that the sentence can be read alone."""
    varied = [
        (name, value)
        for name, value in planned.cell.axes
        if name != axis and len({other.cell.get(name) for other in cells}) > 1
    ]
    several_suites = len({other.suite for other in cells}) > 1
    parts = (Cell(tuple(varied)).label, planned.suite if several_suites else "")
    return ", ".join(part for part in parts if part)


def question_of(plan: Plan, *, anytime: bool = False) -> Question:
    """The plan's question. `anytime`: judge it as one looked at all along, as a run cut short is.

    Raises StatsError where there is nothing to decide.
    """
    contrasts = tuple(PlannedContrast(p.arm, p.base, *_sides(p), p.where) for p in pairs_of(plan))
    until_decided = plan.until_decided or (
        anytime and (bool(contrasts) or plan.max_flake_rate is not None)
    )
    return Question(contrasts, plan.max_flake_rate, until_decided, plan.expected_rates)


def _sides(pair: Pair) -> tuple[str, str]:
    """What a sentence calls the two: `descending` and `ascending`, `head 1f..` and `base 0c..`."""
    if pair.axis == AXIS:
        return f"head {pair.value}", f"base {pair.reference}"
    return named(pair.axis, pair.value), named(pair.axis, pair.reference)


def named(axis: str, value: Value) -> str:
    """`descending`, `fa3`, `tp 2`: a value with its axis where it needs it."""
    return str(value) if axis in ("order", "backend") else f"{axis} {value}"


def outcomes_of(plan: Plan, ended: Iterable[Ended]) -> dict[str, CellOutcomes]:
    """Each cell's outcomes by its name: the longest completed prefix of the plan, in lease order.

    Attempts after one that is missing or was killed in flight are left out: how long it took
    may be why. Replacements count once the plan's own attempts are complete, after which they
    are leased.
    """
    names = names_of(plan.runnable)
    found: dict[str, list[Outcome]] = {name: [] for name in names.values()}
    rows = sorted(ended, key=lambda row: (row.replaces, row.position))
    known = {row.position: row.status for row in rows if not row.replaces}
    queue, unknown = schedule(plan), AttemptStatus.CENSORED
    prefix = list(takewhile(lambda a: known.get(a.position, unknown) is not unknown, queue))
    for attempt in prefix:
        found[names[attempt.suite, attempt.cell.key]].append(_outcome(known[attempt.position]))
    if len(prefix) == len(queue):
        for row in rows:
            if row.replaces and row.status is not AttemptStatus.CENSORED:
                found[names[row.suite, row.cell]].append(_outcome(row.status))
    return {
        name: CellOutcomes(outcomes, max(plan.repeats - len(outcomes), 0))
        for name, outcomes in found.items()
    }


def _outcome(status: AttemptStatus) -> Outcome:
    return None if status is AttemptStatus.INFRA else status is AttemptStatus.FAILED

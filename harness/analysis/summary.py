"""A stored run, counted: what every report format renders. Pure: rows in, values out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from harness.analysis.cells import CellSummary, TestSummary, bound_of, count_cell
from harness.analysis.question import names_of, outcomes_of
from harness.core.cell import Cell, cell_from_dict
from harness.core.kinds import Kind
from harness.core.plan import Plan, PlannedCell, plan_from_dict
from harness.core.records import AttemptRow, RunRecord, TestCount
from harness.core.signature import fingerprint
from harness.core.statuses import AttemptStatus
from harness.stats.planned import CellOutcomes


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
    bound = bound_of(plan, finished)
    cells = [
        count_cell(
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
        [f"{a.id}: {a.message}" for a in attempts if a.status is AttemptStatus.INFRA],
    )


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
        if attempt.status is AttemptStatus.FAILED and attempt.signature:
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

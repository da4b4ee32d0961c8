"""A stored run, counted: plan and rows in, rates out. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.cell_counts import CellRecords, choose_bound, count_cell
from harness.analysis.contrast_pairs import name_cells
from harness.analysis.outcomes import collect_outcomes
from harness.analysis.report_model import CellRate, SignatureCount
from harness.core.kinds import Kind
from harness.core.plan import Plan, PlannedCell, plan_from_dict
from harness.core.records import AttemptRow, RunRecord, TestCount
from harness.core.signature import fingerprint
from harness.core.statuses import AttemptStatus
from harness.stats.planned import CellOutcomes

#: Characters of a failure's message that a report keeps.
MESSAGE_LIMIT = 4000


@dataclass(frozen=True, slots=True)
class RunCounts:
    """A run, counted.

    `attempts` are its rows in lease order, `outcomes` what a decision may use, by cell name.
    """

    run: RunRecord
    plan: Plan
    attempts: Sequence[AttemptRow]
    outcomes: dict[str, CellOutcomes]
    cells: tuple[CellRate, ...]
    signatures: tuple[SignatureCount, ...]
    warmups: Sequence[AttemptRow] = ()
    """Attempts that were made first, and are in no count."""

    @property
    def refused(self) -> list[PlannedCell]:
        """Planned cells that cannot run here."""
        return [planned for planned in self.plan.cells if planned.refused]

    @property
    def unfinished(self) -> int:
        """Planned attempts that did not end."""
        ended = {row.position for row in self.attempts if not row.is_owed}
        return len(self.plan.runnable) * self.plan.repeats - len(ended)

    @property
    def complete(self) -> bool:
        """Whether all that was planned has ended, infrastructure included."""
        return self.unfinished == 0

    @property
    def infrastructure(self) -> list[str]:
        """The reason of each attempt lost to infrastructure, after its id."""
        lost = [row for row in self.attempts if row.status is AttemptStatus.INFRA]
        return [f"{row.id}: {row.message}" for row in lost]


def count_run(
    run: RunRecord,
    attempts: Sequence[AttemptRow],
    tests: Sequence[TestCount],
    warmups: Sequence[AttemptRow] = (),
) -> RunCounts:
    """Count a stored run. An infrastructure attempt counts beside its replacement."""
    plan = plan_from_dict(run.plan)
    attempts = select_last_launches(attempts)
    outcomes = collect_outcomes(plan, [row for row in attempts if not row.is_owed])
    bound = choose_bound(plan, all(cell.remaining == 0 for cell in outcomes.values()))
    names = name_cells(plan.runnable)
    rows: dict[tuple[str, str], list[AttemptRow]] = defaultdict(list)
    for attempt in attempts:
        rows[attempt.suite, attempt.cell].append(attempt)
    counts: dict[tuple[str, str], list[TestCount]] = defaultdict(list)
    for count in tests:
        counts[count.suite, count.cell].append(count)
    cells = []
    for planned in plan.runnable:
        key = planned.suite, planned.cell.key
        records = CellRecords(rows[key], counts[key], outcomes[names[key]])
        cells.append(count_cell(names[key], plan, planned, records, bound))
    return RunCounts(
        *(run, plan, attempts, outcomes, tuple(cells), count_signatures(attempts)),
        select_last_launches(warmups),
    )


def select_last_launches(attempts: Sequence[AttemptRow]) -> list[AttemptRow]:
    """Return the attempts without those that were lost before their start and launched again."""
    last = {(row.position, row.replaces): row.launch for row in attempts}
    return [row for row in attempts if row.launch == last[row.position, row.replaces]]


def count_signatures(attempts: Sequence[AttemptRow]) -> tuple[SignatureCount, ...]:
    """Return the failure signatures, the most frequent first."""
    by_signature: dict[str, list[AttemptRow]] = defaultdict(list)
    for row in attempts:
        if row.status is AttemptStatus.FAILED and row.signature:
            by_signature[row.signature].append(row)
    found = [_count_signature(text, rows) for text, rows in by_signature.items()]
    return tuple(sorted(found, key=lambda count: -count.n))


def _count_signature(signature: str, rows: Sequence[AttemptRow]) -> SignatureCount:
    first = rows[0]
    return SignatureCount(
        id=fingerprint(signature),
        signature=signature,
        kind=first.kind or Kind.ERROR.value,
        phase=first.phase or "",
        n=len(rows),
        example=first.id,
        folder=first.folder,
        message=(first.message or "")[-MESSAGE_LIMIT:],
    )

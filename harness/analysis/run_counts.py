"""A stored run, counted: plan and rows in, rates out. Pure."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from harness.analysis.cell_counts import Bound, CellRecords, choose_bound, count_cell
from harness.analysis.contrast_pairs import name_cells
from harness.analysis.outcomes import collect_outcomes
from harness.analysis.report_model import CellRate, EarlierPart, SignatureCount
from harness.core.kinds import Kind
from harness.core.plan import Plan, PlannedCell, plan_from_dict
from harness.core.records import AttemptRow, RunRecord, TestCount
from harness.core.signature import fingerprint
from harness.core.statuses import VALID, AttemptStatus
from harness.stats.planned import CellOutcomes
from harness.stats.units import Clusters, find_clusters

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
    earlier: tuple[EarlierPart, ...] = ()
    """Parts before a change, apart from all else."""
    clusters: Clusters | None = None
    """The zygotes of each cell, if rates differ between them."""

    @property
    def newest(self) -> list[AttemptRow]:
        """The attempts of the part that is judged: nothing changed between them."""
        last = max((row.part for row in self.attempts), default=0)
        return [row for row in self.attempts if row.part == last]

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
    ended = [row for row in attempts if not row.is_owed]
    parts = sorted({row.part for row in ended}) or [0]
    outcomes = collect_outcomes(plan, ended, parts[-1])
    whole = len(parts) == 1 and all(cell.remaining == 0 for cell in outcomes.values())
    clusters = _find_clusters(plan, [row for row in ended if row.part == parts[-1]])
    bound = choose_bound(plan, whole)
    if bound is not None and clusters is not None:
        bound = clusters.widen(bound)
    by_part = {part: collect_outcomes(plan, ended, part) for part in parts[:-1]}
    records = _sort_records(attempts, tests, by_part | {parts[-1]: outcomes}, plan)
    cells = _count_cells(plan, records, parts[-1], bound)
    return RunCounts(
        *(run, plan, attempts, outcomes, cells, count_signatures(attempts)),
        select_last_launches(warmups),
        tuple(_describe_part(run, part, _count_cells(plan, records, part, bound))
              for part in parts[:-1]),
        clusters,
    )  # fmt: skip


def _describe_part(run: RunRecord, part: int, cells: tuple[CellRate, ...]) -> EarlierPart:
    following = run.parts[part] if part < len(run.parts) else {}
    return EarlierPart(part, tuple(map(str, following.get("changed", ()))), cells)


#: What is stored of one part of a run, by suite and cell key.
Records = dict[int, dict[tuple[str, str], CellRecords]]


def _sort_records(
    attempts: Sequence[AttemptRow],
    tests: Sequence[TestCount],
    outcomes: dict[int, dict[str, CellOutcomes]],
    plan: Plan,
) -> Records:
    names = name_cells(plan.runnable)
    rows: dict[tuple[int, str, str], list[AttemptRow]] = defaultdict(list)
    for attempt in attempts:
        rows[attempt.part, attempt.suite, attempt.cell].append(attempt)
    counts: dict[tuple[int, str, str], list[TestCount]] = defaultdict(list)
    for count in tests:
        counts[count.part, count.suite, count.cell].append(count)
    return {
        part: {
            key: CellRecords(rows[part, *key], counts[part, *key], by_name[name], part)
            for key, name in names.items()
        }
        for part, by_name in outcomes.items()
    }


def _count_cells(
    plan: Plan, records: Records, part: int, bound: Bound | None
) -> tuple[CellRate, ...]:
    """Return the cells of one part; those that other parts alone have measured are left out."""
    names, counted = name_cells(plan.runnable), []
    for planned in plan.runnable:
        key = planned.suite, planned.cell.key
        elsewhere = any(found[key].attempts for n, found in records.items() if n != part)
        if records[part][key].attempts or not elsewhere:
            counted.append(count_cell(names[key], plan, planned, records[part][key], bound))
    return tuple(counted)


def _find_clusters(plan: Plan, attempts: Sequence[AttemptRow]) -> Clusters | None:
    """Return forked attempts by cell and zygote, if rates differ between zygotes."""
    if plan.fixed_seed:
        return None
    names = name_cells(plan.runnable)
    found: dict[str, dict[Hashable, tuple[int, int]]] = {name: {} for name in names.values()}
    for row in attempts:
        if row.status in VALID and row.isolation == "fork":
            units = found[names[row.suite, row.cell]]
            k, n = units.get(row.zygote, (0, 0))
            units[row.zygote] = k + (row.status is AttemptStatus.FAILED), n + 1
    return find_clusters(found)


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

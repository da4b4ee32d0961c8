"""What a run still has to make: attempts of the plan, owed ones, and replacements. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.core.kinds import Kind
from harness.core.plan import Plan, PlannedAttempt, schedule
from harness.core.records import AttemptRow
from harness.core.revision import AXIS
from harness.core.statuses import AttemptStatus

#: What the tests of an attempt follow from: its suite, and the revision that it is read from.
Source = tuple[str, object]


@dataclass(frozen=True, slots=True)
class QueuedAttempt:
    """An attempt that is to be made.

    `replaces`: 0, or the n-th replacement of one that infrastructure ended. `launch`: how often it
    was lost before its suite started.
    """

    planned: PlannedAttempt
    replaces: int = 0
    launch: int = 0

    @property
    def source(self) -> Source:
        """What the attempt's tests follow from."""
        return self.planned.suite, self.planned.cell.get(AXIS)

    def make_id(self, run_id: str) -> str:
        """Return the id of this launch, unique in the store."""
        text = f"{run_id}.{self.planned.position}"
        text += f"r{self.replaces}" if self.replaces else ""
        return text + (f"t{self.launch}" if self.launch else "")

    def launch_again(self) -> "QueuedAttempt":
        """Return the same attempt, launched once more."""
        return replace(self, launch=self.launch + 1)

    def replace_again(self) -> "QueuedAttempt":
        """Return the replacement of this attempt."""
        return QueuedAttempt(self.planned, self.replaces + 1)


def list_planned(plan: Plan) -> list[QueuedAttempt]:
    """Return every attempt of a plan, in lease order."""
    return [QueuedAttempt(planned) for planned in schedule(plan)]


def list_outstanding(
    plan: Plan, rows: Sequence[AttemptRow], replace_infra: int
) -> list[QueuedAttempt]:
    """Return what a stored run still lacks: attempts never made or owed, then replacements.

    A suite that was seen to hold no test is not tried again.
    """
    last = {(row.position, row.replaces): row for row in rows}  # rows come in order of launch
    empty = find_empty_sources(rows)
    outstanding: list[QueuedAttempt] = []
    replacements: list[QueuedAttempt] = []
    for planned in schedule(plan):
        queued = QueuedAttempt(planned)
        if queued.source in empty and (planned.position, 0) not in last:
            continue
        while (row := last.get((planned.position, queued.replaces))) and not row.is_owed:
            if row.status is not AttemptStatus.INFRA or queued.replaces >= replace_infra:
                break
            queued = queued.replace_again()
        else:
            missing = replace(queued, launch=_count_launches(row))
            (replacements if queued.replaces else outstanding).append(missing)
    return outstanding + replacements


def find_empty_sources(rows: Iterable[AttemptRow]) -> set[Source]:
    """Return the sources of which an attempt collected no test and no attempt any."""
    empty: set[Source] = set()
    others: set[Source] = set()
    for row in rows:
        source = row.suite, row.revision
        (empty if row.kind == Kind.NO_TESTS else others).add(source)
    return empty - others


def _count_launches(row: AttemptRow | None) -> int:
    """Return the number of the next launch: a killed attempt's row is removed, a lost one kept."""
    return row.launch + 1 if row and row.status is AttemptStatus.INFRA else 0

"""What a run still has to make: attempts of the plan, owed ones, and replacements. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.core.kinds import Kind
from harness.core.plan import Plan, PlannedAttempt, schedule, schedule_warmups
from harness.core.records import AttemptRow
from harness.core.revision import AXIS
from harness.core.statuses import AttemptStatus

#: What the tests of an attempt follow from: its suite, and the revision that it is read from.
Source = tuple[str, object]

#: Tells the id of a warm-up attempt, `ab12.w0`, from that of a counted one.
WARMUP_PREFIX = "w"


@dataclass(frozen=True, slots=True)
class QueuedAttempt:
    """An attempt that is to be made.

    `replaces`: 0, or the n-th replacement of one that infrastructure ended. `launch`: how often it
    was lost before its suite started. `warmup`: it is made first and never counted.
    """

    planned: PlannedAttempt
    replaces: int = 0
    launch: int = 0
    warmup: bool = False

    @property
    def source(self) -> Source:
        """What the attempt's tests follow from."""
        return self.planned.suite, self.planned.cell.get(AXIS)

    def make_id(self, run_id: str) -> str:
        """Return the id of this launch, unique in the store."""
        text = f"{run_id}.{WARMUP_PREFIX if self.warmup else ''}{self.planned.position}"
        text += f"r{self.replaces}" if self.replaces else ""
        return text + (f"t{self.launch}" if self.launch else "")

    def launch_again(self) -> "QueuedAttempt":
        """Return the same attempt, launched once more."""
        return replace(self, launch=self.launch + 1)

    def replace_again(self) -> "QueuedAttempt":
        """Return the replacement of this attempt."""
        return QueuedAttempt(self.planned, self.replaces + 1)


def list_planned(plan: Plan) -> list[QueuedAttempt]:
    """Return every attempt of a plan in lease order, those that warm up first."""
    return [*list_warmups(plan), *(QueuedAttempt(planned) for planned in schedule(plan))]


def list_warmups(plan: Plan, made: Sequence[AttemptRow] = ()) -> list[QueuedAttempt]:
    """Return the warm-up attempts that are to be made yet; one that was lost is not owed."""
    known = {row.position for row in made if row.status is not AttemptStatus.CENSORED}
    planned = schedule_warmups(plan)
    return [QueuedAttempt(one, warmup=True) for one in planned if one.position not in known]


def list_outstanding(
    plan: Plan,
    rows: Sequence[AttemptRow],
    replace_infra: int,
    warmups: Sequence[AttemptRow] = (),
) -> list[QueuedAttempt]:
    """Return what a stored run still lacks: attempts never made or owed, then replacements.

    Missing warm-up attempts come first, if any other is missing. A suite that was seen to hold no
    test is not tried again.
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
    missing_ones = outstanding + replacements
    return [*list_warmups(plan, warmups), *missing_ones] if missing_ones else []


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

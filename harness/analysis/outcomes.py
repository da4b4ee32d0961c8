"""What the attempts of a plan came to, as far as a decision may use them. Pure."""

from collections.abc import Iterable
from typing import Protocol

from harness.analysis.contrast_pairs import name_cells
from harness.core.plan import Plan, schedule
from harness.core.statuses import AttemptStatus
from harness.stats.planned import CellOutcomes
from harness.stats.sequential import Outcome, take_completed_prefix


class EndedAttempt(Protocol):
    """What a decision needs of an attempt that ended. `replaces` is above 0 for a replacement."""

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


def collect_outcomes(plan: Plan, ended: Iterable[EndedAttempt]) -> dict[str, CellOutcomes]:
    """Return each cell's outcomes by its name: the longest completed prefix, in lease order.

    Attempts after one that is missing or was killed in flight are left out: how long it took
    may be why. Replacements count once the plan's own attempts are complete, because they are
    leased after them.
    """
    names = name_cells(plan.runnable)
    found: dict[str, list[Outcome]] = {name: [] for name in names.values()}
    rows = [row for row in ended if row.status is not AttemptStatus.CENSORED]
    known = {row.position: row for row in rows if not row.replaces}
    queue = schedule(plan)
    usable = take_completed_prefix(known.get(attempt.position) for attempt in queue)
    if len(usable) == len(queue):
        replacements = [row for row in rows if row.replaces]
        usable += sorted(replacements, key=lambda row: (row.replaces, row.position))
    for row in usable:
        found[names[row.suite, row.cell]].append(_read_outcome(row.status))
    return {
        name: CellOutcomes(outcomes, max(plan.repeats - len(outcomes), 0))
        for name, outcomes in found.items()
    }


def _read_outcome(status: AttemptStatus) -> Outcome:
    return None if status is AttemptStatus.INFRA else status is AttemptStatus.FAILED

"""What the attempts of a plan came to, as far as a decision may use them. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from copy import copy, deepcopy
from itertools import islice
from typing import Protocol, TypeVar

from harness.analysis.contrast_pairs import ask_question, name_cells
from harness.core.plan import Plan, schedule
from harness.core.statuses import AttemptStatus
from harness.stats.looks import Looks
from harness.stats.planned import CellOutcomes
from harness.stats.sequential import Outcome


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

    @property
    def part(self) -> int:
        """0, or the n-th part of a run that was resumed with changed files."""


Ended = TypeVar("Ended", bound=EndedAttempt)


def collect_outcomes(
    plan: Plan, ended: Iterable[EndedAttempt], part: int | None = None
) -> dict[str, CellOutcomes]:
    """Return each cell's outcomes by its name: the longest completed prefix, in lease order.

    part: whose attempts are taken, without it those of the newest. What an earlier part has made
    is not of its plan.

    Attempts after one that is missing or was killed in flight are left out: how long it took
    may be why. Replacements count once the plan's own attempts are complete, because they are
    leased after them.
    """
    names = name_cells(plan.runnable)
    found: dict[str, list[Outcome]] = {name: [] for name in names.values()}
    all_rows = [row for row in ended if row.status is not AttemptStatus.CENSORED]
    part = max((row.part for row in all_rows), default=0) if part is None else part
    made_before = {row.position for row in all_rows if row.part < part and not row.replaces}
    rows = [row for row in all_rows if row.part == part]
    known = {row.position: row for row in rows if not row.replaces}
    reader = PrefixReader(plan, made_before=made_before)
    usable = reader.read(known)
    if reader.is_at_end:
        replacements = [row for row in rows if row.replaces]
        usable += sorted(replacements, key=lambda row: (row.replaces, row.position))
    for row in usable:
        found[names[row.suite, row.cell]].append(_read_outcome(row.status))
    planned = reader.planned
    return {
        name: CellOutcomes(outcomes, max(planned[name] - len(outcomes), 0))
        for name, outcomes in found.items()
    }


class PrefixReader:
    """Reads the longest completed prefix of a plan, in lease order, as attempts end.

    What a look costs is what is new. Attempts of a cell that no question needs any more are not
    waited for.
    """

    def __init__(
        self, plan: Plan, *, looks: bool = False, made_before: Collection[int] = ()
    ) -> None:
        """`looks`: keep what a run until decided knows at each look.

        made_before: positions that an earlier part of the run has made, before something changed.
        """
        self._names = name_cells(plan.runnable)
        self._queue = [one for one in schedule(plan) if one.position not in made_before]
        self._at = 0
        self.planned = Counter(self._names[one.suite, one.cell.key] for one in self._queue)
        self._remaining = {name: self.planned[name] for name in self._names.values()}
        question = ask_question(plan) if plan.until_decided else None
        kept = question is not None and (looks or question.has_rest)
        self._looks = Looks(question, list(self._remaining)) if question and kept else None

    @property
    def is_at_end(self) -> bool:
        """Whether nothing of the plan is missing."""
        return self._at == len(self._queue)

    def read(self, known: Mapping[int, Ended]) -> list[Ended]:
        """Return the attempts that now belong to the prefix and did not before."""
        found: list[Ended] = []
        for planned in islice(self._queue, self._at, None):
            row = known.get(planned.position)
            if row is not None:
                self._take(planned.suite, planned.cell.key, row.status)
                found.append(row)
            elif not self.is_needless(planned.suite, planned.cell.key):
                break
            self._at += 1
        return found

    def _take(self, suite: str, cell: str, status: AttemptStatus) -> None:
        name = self._names[suite, cell]
        self._remaining[name] -= 1
        if self._looks is not None:
            self._looks.add(name, _read_outcome(status))

    def is_needless(self, suite: str, cell: str) -> bool:
        """Whether no question needs further attempts of the cell."""
        return self._looks is not None and self._looks.is_needless(self._names[suite, cell])

    def is_settled(self) -> bool:
        """Whether the questions of a run until decided are answered, or can no longer be."""
        return self._looks is not None and self._looks.is_settled(self._remaining)

    def suppose(self, known: Mapping[int, Ended]) -> bool:
        """Return `is_settled` as it would be with these attempts; nothing is kept of them."""
        other = copy(self)
        other._remaining, other._looks = dict(self._remaining), deepcopy(self._looks)
        other.read(known)
        return other.is_settled()


def _read_outcome(status: AttemptStatus) -> Outcome:
    return None if status is AttemptStatus.INFRA else status is AttemptStatus.FAILED

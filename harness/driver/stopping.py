"""When a run until decided may stop: a look after each attempt, at the completed prefix alone."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import count
from statistics import median

from harness.analysis.contrast_pairs import ask_question
from harness.analysis.outcomes import collect_outcomes
from harness.core.plan import Plan
from harness.core.statuses import AttemptStatus
from harness.stats.judge import is_settled
from harness.stats.sequential import take_completed_prefix

#: An attempt in flight is overdue after so many times the median passing attempt.
OVERDUE = 3


@dataclass(frozen=True, slots=True)
class Ended:
    """What a look needs of an attempt that ended."""

    position: int
    replaces: int
    suite: str
    cell: str
    status: AttemptStatus
    seconds: float = 0.0


class Stopping:
    """Remembers what ended, and says when no further attempt can change the answer."""

    def __init__(self, plan: Plan, known: Iterable[Ended]) -> None:
        """`known`: what a resumed run has stored already."""
        self._plan = plan
        self._ended = {attempt.position: attempt for attempt in known}
        self._looked_at: int | None = None
        self._settled = False
        self._supposed: frozenset[int] = frozenset()
        self._held = False

    def add(self, attempt: Ended) -> None:
        """Called as each attempt ends, in any order."""
        self._ended[attempt.position] = attempt

    def is_settled(self) -> bool:
        """Whether the question is answered, or can no longer be. Never for a fixed number."""
        if not self._plan.until_decided or self._settled:
            return self._settled
        # Only a longer prefix is a new look.
        seen = self._looked_at or 0
        finished = take_completed_prefix(map(self._ended.get, count(seen)))
        if finished or self._looked_at is None:
            self._looked_at = seen + len(finished)
            outcomes = collect_outcomes(self._plan, self._ended.values())
            self._settled = is_settled(ask_question(self._plan), outcomes)
        return self._settled

    def holds_leases(self, in_flight: Iterable[Ended]) -> bool:
        """Whether overdue attempts, if they fail, would settle the question.

        A further lease could then change nothing but in the less likely case that they pass.
        `in_flight`: what is running, with its seconds so far.
        """
        passed = [one.seconds for one in self._ended.values() if one.status is AttemptStatus.PASSED]
        if not self._plan.until_decided or self._settled or not passed:
            return False
        limit = OVERDUE * median(passed)
        overdue = {
            one.position: replace(one, status=AttemptStatus.FAILED)
            for one in in_flight
            if one.seconds > limit and not one.replaces
        }
        look = frozenset((*self._ended, *overdue))
        if overdue and look != self._supposed:
            self._supposed = look
            outcomes = collect_outcomes(self._plan, [*self._ended.values(), *overdue.values()])
            self._held = is_settled(ask_question(self._plan), outcomes)
        return bool(overdue) and self._held

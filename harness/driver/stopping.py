"""When a run until decided may stop: a look after each attempt, at the completed prefix alone."""

from collections.abc import Iterable
from dataclasses import dataclass

from harness.analysis.question import outcomes_of, question_of
from harness.core.plan import Plan
from harness.core.statuses import AttemptStatus
from harness.stats.judge import is_settled


@dataclass(frozen=True, slots=True)
class Ended:
    """What a look needs of an attempt that ended."""

    position: int
    replaces: int
    suite: str
    cell: str
    status: AttemptStatus


class Stopping:
    """Remembers what ended, and says when no further attempt can change the answer."""

    def __init__(self, plan: Plan, known: Iterable[Ended]) -> None:
        """`known`: what a resumed run has stored already."""
        self._plan = plan
        self._ended = {attempt.position: attempt for attempt in known}
        self._looked_at = -1
        self._settled = False

    def add(self, attempt: Ended) -> None:
        """Called as each attempt ends, in any order."""
        self._ended[attempt.position] = attempt

    def settled(self) -> bool:
        """Whether the question is answered, or can no longer be. Never for a fixed number."""
        if not self._plan.until_decided or self._settled:
            return self._settled
        prefix = self._prefix()
        if prefix > self._looked_at:
            self._looked_at = prefix
            outcomes = outcomes_of(self._plan, self._ended.values())
            self._settled = is_settled(question_of(self._plan), outcomes)
        return self._settled

    def _prefix(self) -> int:
        """How many attempts from the first on have ended: only a longer prefix is a new look."""
        length = max(self._looked_at, 0)
        while length in self._ended:
            length += 1
        return length

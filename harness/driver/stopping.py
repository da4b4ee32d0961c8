"""When a run until decided may stop: a look after each attempt, at the completed prefix alone."""

from bisect import insort
from collections import ChainMap
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from harness.analysis.outcomes import PrefixReader
from harness.core.plan import Plan
from harness.core.statuses import AttemptStatus

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
    part: int = 0


class Stopping:
    """Remembers what ended, and says when no further attempt can change the answer."""

    def __init__(self, plan: Plan, known: Collection[Ended], part: int = 0) -> None:
        """`known`: what a resumed run has stored already. `part`: which one is to be made."""
        before = {one.position for one in known if one.part < part and not one.replaces}
        self._plan = plan
        self._reader = PrefixReader(plan, looks=True, made_before=before)
        self._ended: dict[int, Ended] = {}
        self._passed_s: list[float] = []
        self._settled: bool | None = None
        self._supposed: frozenset[int] = frozenset()
        self._held = False
        for attempt in known:
            if attempt.part == part:
                self.add(attempt)

    def add(self, attempt: Ended) -> None:
        """Called as each attempt ends, in any order."""
        if attempt.status is not AttemptStatus.CENSORED and not attempt.replaces:
            self._ended[attempt.position] = attempt
        if attempt.status is AttemptStatus.PASSED:
            insort(self._passed_s, attempt.seconds)

    def is_settled(self) -> bool:
        """Whether the question is answered, or can no longer be. Never for a fixed number."""
        if not self._plan.until_decided or self._settled:
            return bool(self._settled)
        # Only a longer prefix is a new look.
        if self._reader.read(self._ended) or self._settled is None:
            self._settled = self._reader.is_settled()
        return self._settled

    def is_needless(self, suite: str, cell: str) -> bool:
        """Whether no further attempt of the cell is needed: every question has named it."""
        return self._reader.is_needless(suite, cell)

    def holds_leases(self, in_flight: Iterable[Ended]) -> bool:
        """Whether overdue attempts, if they fail, would settle the question.

        A further lease could then change nothing but in the less likely case that they pass.
        `in_flight`: what is running, with its seconds so far.
        """
        if not self._plan.until_decided or self._settled or not self._passed_s:
            return False
        limit = OVERDUE * self._passed_s[len(self._passed_s) // 2]
        overdue = {
            one.position: replace(one, status=AttemptStatus.FAILED)
            for one in in_flight
            if one.seconds > limit and not one.replaces
        }
        look = frozenset((len(self._ended), *overdue))
        if overdue and look != self._supposed:
            self._supposed = look
            self._held = self._reader.suppose(ChainMap(overdue, self._ended))
        return bool(overdue) and self._held

"""Looks at a run until decided whose cost is that of what is new. Pure.

`Looks` takes attempts one by one and says what `judge.is_settled` says of all of them: tests hold
the two against each other. State is small, so that "what if these failed?" is asked of a copy.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence

from harness.core.decision_rule import Alternative
from harness.stats.boundary import Design, find_futile
from harness.stats.bursts import SHARE, BurstCheck
from harness.stats.contrasts import ALPHA
from harness.stats.pair_evidence import ONLY_ARM, PairEvidence
from harness.stats.planned import PlannedContrast, Question, list_rest_groups
from harness.stats.pooled_rest import PooledRest, RestDesign
from harness.stats.rate_gate import RateGate, choose_e
from harness.stats.sequential import Outcome, compute_threshold

#: Version of the rule from which on a decision must hold in bursts.
BURSTS_SINCE = 4


class Looks:
    """What a run until decided knows so far, of all that it asks."""

    def __init__(self, question: Question, cells: Sequence[str]) -> None:
        self._question = question
        self._pairs = [PairLooks(question, one) for one in question.contrasts if not one.rest]
        self._groups = open_rest_groups(question)
        gated = cells if question.gate is not None else ()
        self._gates = {name: GateLooks(question, len(gated)) for name in gated}
        paired = {n for one in question.contrasts if not one.rest for n in (one.arm, one.reference)}
        self._needed = paired | set(gated)

    def add(self, name: str, outcome: Outcome) -> None:
        """Take a cell's next attempt, in lease order."""
        for pair in self._pairs:
            pair.add(name, outcome)
        for cells, group in self._groups.items():
            if name in cells:
                group.add(name, outcome)
        if name in self._gates:
            self._gates[name].add(outcome)

    def is_needless(self, name: str) -> bool:
        """Whether no question needs further attempts of the cell: it was named in each."""
        within = [group for cells, group in self._groups.items() if name in cells]
        named = bool(within) and all(name in group.named for group in within)
        return named and name not in self._needed

    def is_settled(self, remaining: Mapping[str, int]) -> bool:
        """Return what `judge.is_settled` says. `remaining`: planned attempts of each cell."""
        gates = {gate.judge(remaining[name]) for name, gate in self._gates.items()}
        if RateGate.OPEN in gates and not gates & {RateGate.BROKEN, RateGate.OUT_OF_REACH}:
            return False
        if any(group.list_open(remaining) for group in self._groups.values()):
            return False
        return not any(pair.is_open(remaining) for pair in self._pairs)


def open_rest_groups(question: Question) -> dict[tuple[str, ...], PooledRest]:
    """Return the comparisons with a pooled rest, by their cells, without attempts yet."""
    limit = compute_threshold(len(question.contrasts)) if question.contrasts else 0.0
    design = RestDesign(question.expected_rates, question.rule.alternative, limit)
    return {cells: PooledRest(cells, design) for cells in list_rest_groups(question)}


class PairLooks:
    """The worst-case e-process of one comparison, both directions, and whether it has decided."""

    def __init__(self, question: Question, contrast: PlannedContrast) -> None:
        self._question, self._names = question, (contrast.arm, contrast.reference)
        self._waiting: tuple[deque[Outcome], deque[Outcome]] = (deque(), deque())
        self._evidence = PairEvidence(question.expected_rates)
        rule = question.rule
        self._needed = rule.threshold or compute_threshold(len(question.contrasts))
        self.bursts = BurstCheck(question.expected_rates) if rule.version >= BURSTS_SINCE else None
        self.is_decided = self.was_doubtful = False

    def add(self, name: str, outcome: Outcome) -> None:
        """Take an attempt of whichever cell it is."""
        for waiting, own in zip(self._waiting, self._names, strict=True):
            if own == name:
                waiting.append(outcome)
        while all(self._waiting):
            self._count_block(*(waiting.popleft() for waiting in self._waiting))

    def _count_block(self, arm: Outcome, reference: Outcome) -> None:
        self._evidence.add(arm, reference)
        if self.bursts is not None:
            self.bursts.add(arm, reference)
        # What is drained after a decision cannot undo it.
        if self._has_crossed and not self.is_decided:
            self.is_decided = self.holds_in_bursts()

    @property
    def _has_crossed(self) -> bool:
        return self._evidence.get_e(self._question.rule.alternative) >= self._needed

    def holds_in_bursts(self) -> bool:
        """Whether the evidence stands, however the failures of a cell follow each other."""
        if self.bursts is None:
            return True
        self.was_doubtful = self.bursts.is_doubtful
        up, down = self._evidence.highest
        seen = Alternative.MORE if up >= down else Alternative.LESS
        sides = 2 if self._question.rule.alternative is Alternative.TWO_SIDED else 1
        return not self.was_doubtful or self.bursts.get_e(seen) / sides >= SHARE * self._needed

    def is_open(self, remaining: Mapping[str, int]) -> bool:
        """Whether the comparison is neither decided nor given up."""
        rule = self._question.rule
        if self.is_decided:
            return False
        if self._has_crossed:
            return self._count_left(remaining) > 0
        if rule.threshold is None:
            return self._can_reach(self._needed, remaining)
        design = Design(self._question.cap, self._question.expected_rates, rule.alternative)
        futile = find_futile(design, rule, self._evidence.blocks)
        arm, other, arm_high, other_low = self._evidence.failed
        return not (futile[arm, other] and futile[arm_high, other_low])

    def _count_left(self, remaining: Mapping[str, int]) -> int:
        waiting = zip(self._waiting, self._names, strict=True)
        return min(len(one) + remaining[name] for one, name in waiting)

    def _can_reach(self, needed: float, remaining: Mapping[str, int]) -> bool:
        """Whether the most extreme future reaches it, in either direction."""
        left, highest = self._count_left(remaining), self._evidence.highest
        up, down = (max(highest[i], self._follow(i, left)) for i in (0, 1))
        return max(up, down) / 2 >= needed

    def _follow(self, failing: int, left: int) -> float:
        """Return the largest e-value if the failing cell fails in all blocks to come.

        Attempts that wait for a partner keep their outcome. Along equal blocks a sum of
        exponentials is largest at an end.
        """
        known = self._waiting[failing], self._waiting[1 - failing]
        waiting = min(max(map(len, known)), left)
        logs, factors, highest = self._evidence.logs[failing], self._evidence.factors, 0.0
        for i in range(waiting):
            own, other = (list(one)[i] if i < len(one) else None for one in known)
            fails = own is True or (own is None and i >= len(known[0]))
            other_fails = not (other is False or (other is None and i >= len(known[1])))
            logs = logs + factors[2 * fails + other_fails]
            highest = max(highest, self._evidence.mix(logs))
        return max(highest, self._evidence.mix(logs + (left - waiting) * factors[ONLY_ARM]))


class GateLooks:
    """The e-processes of one cell's rate gate, as `judge_cell_by_sequence` has them."""

    def __init__(self, question: Question, cells: int) -> None:
        assert question.gate is not None
        self._question, self._rate, self._cells = question, question.gate, cells
        self._n = self._most = self._fewest = 0
        self._state: RateGate | None = None

    def add(self, outcome: Outcome) -> None:
        """Take the cell's next attempt."""
        if outcome is None and self._question.rule.version < 2:
            return
        self._n += 1
        self._most += outcome is not False
        self._fewest += outcome is True
        self._state = self._state or self._decide(self._n, self._most, self._fewest)

    def judge(self, remaining: int) -> RateGate:
        """Return where the cell's gate is; so many of its attempts are still planned."""
        if self._state is not None:
            return self._state
        end = self._n + remaining
        passes = self._decide(end, self._most, end) is RateGate.HOLDS
        fails = self._decide(end, end, self._fewest + remaining) is RateGate.BROKEN
        return RateGate.OPEN if passes or fails else RateGate.OUT_OF_REACH

    def _decide(self, n: int, most: int, fewest: int) -> RateGate | None:
        below, above = choose_e(self._question)
        if most < self._rate * n and below(self._rate, most, n) >= math.log(1 / ALPHA):
            return RateGate.HOLDS
        limit = math.log(self._cells / ALPHA)
        if fewest > self._rate * n and above(self._rate, fewest, n) >= limit:
            return RateGate.BROKEN
        return None

"""Looks at a run until decided whose cost is that of what is new. Pure.

`Looks` takes attempts one by one and says what `judge.is_settled` says of all of them: tests hold
the two against each other. State is small, so that "what if these failed?" is asked of a copy.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.core.decision_rule import Alternative
from harness.stats.boundary import Design, find_futile
from harness.stats.contrasts import ALPHA
from harness.stats.planned import PlannedContrast, Question, list_rest_groups
from harness.stats.pooled_rest import PooledRest, RestDesign
from harness.stats.rate_gate import RateGate, choose_e
from harness.stats.sequential import (
    Outcome,
    compute_block_factors,
    compute_threshold,
    list_alternatives,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


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
    """The worst-case e-process of one comparison, both directions."""

    def __init__(self, question: Question, contrast: PlannedContrast) -> None:
        import numpy as np

        self._question, self._names = question, (contrast.arm, contrast.reference)
        self._waiting: tuple[deque[Outcome], deque[Outcome]] = (deque(), deque())
        alternatives = list_alternatives(question.expected_rates)
        self._weights = np.array([weight for weight, _, _ in alternatives])
        with np.errstate(divide="ignore"):
            factors = np.log([compute_block_factors(r, q) for _, r, q in alternatives]).T
        self._factors: Floats = np.maximum(factors, -1e30)
        self._up, self._down = np.zeros(len(self._weights)), np.zeros(len(self._weights))
        self._highest = (1.0, 1.0)
        self._blocks = 0
        # Failures of arm and reference, infrastructure against "more often", then against "less".
        self._failed = [0, 0, 0, 0]

    def add(self, name: str, outcome: Outcome) -> None:
        """Take an attempt of whichever cell it is."""
        for waiting, own in zip(self._waiting, self._names, strict=True):
            if own == name:
                waiting.append(outcome)
        while all(self._waiting):
            self._count_block(*(waiting.popleft() for waiting in self._waiting))

    def _count_block(self, arm: Outcome, reference: Outcome) -> None:
        low, other_high = arm is True, reference is not False
        high, other_low = arm is not False, reference is True
        self._up = self._up + self._factors[2 * low + other_high]
        self._down = self._down + self._factors[2 * other_low + high]
        up, down = self._highest
        self._highest = max(up, self._mix(self._up)), max(down, self._mix(self._down))
        counts = (low, other_high, high, other_low)
        self._failed = [a + b for a, b in zip(self._failed, counts, strict=True)]
        self._blocks += 1

    def _mix(self, logs: "Floats") -> float:
        import numpy as np

        return float(self._weights @ np.exp(np.minimum(logs, 690.0)))

    def is_open(self, remaining: Mapping[str, int]) -> bool:
        """Whether the comparison is neither decided nor given up."""
        rule = self._question.rule
        needed = rule.threshold or compute_threshold(len(self._question.contrasts))
        if self._combine(*self._highest) >= needed:
            return False
        if rule.threshold is None:
            return self._can_reach(needed, remaining)
        design = Design(self._question.cap, self._question.expected_rates, rule.alternative)
        futile = find_futile(design, rule, self._blocks)
        arm, other, arm_high, other_low = self._failed
        return not (futile[arm, other] and futile[arm_high, other_low])

    def _combine(self, up: float, down: float) -> float:
        alternative = self._question.rule.alternative
        if alternative is Alternative.TWO_SIDED:
            return max(up, down) / 2
        return up if alternative is Alternative.MORE else down

    def _can_reach(self, needed: float, remaining: Mapping[str, int]) -> bool:
        """Whether the most extreme future reaches it, in either direction."""
        left = min(
            len(waiting) + remaining[name]
            for waiting, name in zip(self._waiting, self._names, strict=True)
        )
        up = max(self._highest[0], self._follow(self._up, 0, left))
        down = max(self._highest[1], self._follow(self._down, 1, left))
        return max(up, down) / 2 >= needed

    def _follow(self, logs: "Floats", failing: int, left: int) -> float:
        """Return the largest e-value if the failing cell fails in all blocks to come.

        Attempts that wait for a partner keep their outcome. Along equal blocks a sum of
        exponentials is largest at an end.
        """
        known = self._waiting[failing], self._waiting[1 - failing]
        waiting = min(max(map(len, known)), left)
        highest = 0.0
        for i in range(waiting):
            own, other = (list(one)[i] if i < len(one) else None for one in known)
            fails = own is True or (own is None and i >= len(known[0]))
            other_fails = not (other is False or (other is None and i >= len(known[1])))
            logs = logs + self._factors[2 * fails + other_fails]
            highest = max(highest, self._mix(logs))
        return max(highest, self._mix(logs + (left - waiting) * self._factors[2]))


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

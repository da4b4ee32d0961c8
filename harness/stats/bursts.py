"""Decisions of a run until decided that hold although failures may come in bursts. Pure.

A run until decided ends after so few failures that the runs test cannot tell one burst of them from
several failures by chance. So a decision is taken at once only if the failures are in no doubtful
order. Otherwise the evidence must also be there with each burst counted once: an attempt counts
only if the one before it of its cell passed. If an attempt's rate depends on nothing but the
cell's previous outcome (a Markov chain), those attempts are independent and of one rate, however
long the bursts are, and the e-process is valid for them. Where most attempts fail, passes come in
bursts: then those count that follow a failure.
"""

from collections import deque
from functools import lru_cache

from harness.core.decision_rule import Alternative
from harness.stats.pair_evidence import PairEvidence
from harness.stats.permutation import compute_tail_of_runs
from harness.stats.sequential import Outcome, RatePair

#: A cell's order is doubtful if so few runs of failures and passes have at most this chance. So
#: high because of the few failures: many sound decisions, too, are then confirmed at the price of
#: a few more attempts.
DOUBT = 0.5
#: Share of the threshold that e must reach with each burst counted once. The whole one would find
#: fewer true differences; with half of it a few more bursts are called a difference. What that
#: costs: `benchmarks/statistics/decisions.py`, whose table is in docs/explanation/statistics.md.
SHARE = 0.5
#: Attempts after which "always" against "never" is in doubt no longer: nothing follows a pass then.
CONSTANT = 10


class CellOrder:
    """The runs of failures and passes of one cell, in lease order."""

    def __init__(self) -> None:
        self.failed = self.valid = self.runs = 0
        self.last: bool | None = None

    def add(self, outcome: Outcome) -> None:
        """Take the cell's next attempt; infrastructure ends no run."""
        if outcome is not None:
            self.failed += outcome
            self.valid += 1
            self.runs += outcome is not self.last
            self.last = outcome

    def compute_p(self) -> float:
        """Return the chance of so few runs; 1 without a failure, 0 without a pass."""
        if not self.failed:
            return 1.0
        return _find_tail(self.failed, self.valid, self.runs)


@lru_cache(maxsize=4096)
def _find_tail(failed: int, valid: int, runs: int) -> float:
    return 0.0 if failed == valid else compute_tail_of_runs(failed, valid, runs)


class BurstCheck:
    """Both cells of a comparison: their order, and the evidence with each burst counted once."""

    def __init__(self, expected: RatePair) -> None:
        self._cells = CellOrder(), CellOrder()
        # By the outcome before: attempts that wait for a partner, and what pairs of them say.
        self._waiting = {before: (deque[Outcome](), deque[Outcome]()) for before in (False, True)}
        self._evidence = {before: PairEvidence(expected) for before in (False, True)}

    def add(self, arm: Outcome, reference: Outcome) -> None:
        """Take the next block."""
        for i, outcome in enumerate((arm, reference)):
            before = self._cells[i].last
            for kept, waiting in self._waiting.items():
                # Infrastructure may have been of either kind.
                if outcome is None or bool(before) is kept:
                    waiting[i].append(outcome)
            self._cells[i].add(outcome)
        for before, waiting in self._waiting.items():
            while all(waiting):
                self._evidence[before].add(*(one.popleft() for one in waiting))

    @property
    def p(self) -> float:
        """The smaller of the cells' chances of so few runs."""
        return min(cell.compute_p() for cell in self._cells)

    @property
    def is_doubtful(self) -> bool:
        """Whether the order of a cell's failures must be reckoned with."""
        return self.p <= DOUBT and not self._is_constant()

    def get_e(self, alternative: Alternative) -> float:
        """Return the largest e-value with each burst counted once."""
        failed = sum(cell.failed for cell in self._cells)
        mostly_fail = 2 * failed > sum(cell.valid for cell in self._cells)
        return self._evidence[mostly_fail].get_e(alternative)

    def _is_constant(self) -> bool:
        rates = sorted(cell.failed / max(cell.valid, 1) for cell in self._cells)
        return rates == [0.0, 1.0] and min(cell.valid for cell in self._cells) >= CONSTANT

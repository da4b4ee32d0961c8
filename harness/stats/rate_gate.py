"""The claim that every cell fails less often than a rate. Pure."""

import math
from collections.abc import Mapping, Sequence
from enum import Enum

from harness.stats.contrasts import ALPHA
from harness.stats.intervals import (
    Interval,
    attempts_needed_below,
    attempts_needed_below_anytime,
    check_rate,
    compute_confidence_sequence,
    compute_log_e,
    compute_lower_bound,
    compute_upper_bound,
)
from harness.stats.planned import CellOutcomes
from harness.stats.sequential import Outcome


class RateGate(Enum):
    """Where a claim "every cell fails less often than x" stands."""

    HOLDS = "holds"
    BROKEN = "broken"
    OPEN = "open"
    OUT_OF_REACH = "out of reach"


def judge_cell_by_sequence(
    outcomes: Sequence[Outcome], rate: float, remaining: int, cells: int = 1
) -> RateGate:
    """Judge one cell's gate by the confidence sequence over its valid attempts in lease order.

    Holds from when the 95 % sequence first lies below the rate; broken from when it first lies
    above it at alpha/cells, since one broken cell breaks the run's gate; out of reach where not
    even `remaining` passes, or failures, could bring either (curtailment).
    """
    check_rate(rate, "a gate")
    k = n = 0
    for failed in (outcome for outcome in outcomes if outcome is not None):
        k, n = k + failed, n + 1
        if _lies_above(rate, k, n, ALPHA):
            return RateGate.HOLDS
        if _lies_below(rate, k, n, ALPHA / cells):
            return RateGate.BROKEN
    passes = _lies_above(rate, k, n + remaining, ALPHA)
    fails = _lies_below(rate, k + remaining, n + remaining, ALPHA / cells)
    return RateGate.OPEN if passes or fails else RateGate.OUT_OF_REACH


def _lies_above(rate: float, k: int, n: int, alpha: float) -> bool:
    """The rate lies above the whole confidence sequence of k failures in n attempts."""
    return n > 0 and k < rate * n and compute_log_e(rate, k, n) >= math.log(1 / alpha)


def _lies_below(rate: float, k: int, n: int, alpha: float) -> bool:
    return n > 0 and k > rate * n and compute_log_e(rate, k, n) >= math.log(1 / alpha)


def judge_rate_gate(
    rate: float, cells: Mapping[str, CellOutcomes], until_decided: bool
) -> RateGate:
    """Whether every cell fails less often than the rate, on valid attempts.

    Until decided by the confidence sequence, else by one-sided Clopper-Pearson bounds. That all
    cells hold needs no correction (each must pass its own test); that one is broken is Bonferroni
    over cells.
    """
    states = [_cell_gate(rate, cell, len(cells), until_decided) for cell in cells.values()]
    for state in (RateGate.BROKEN, RateGate.OUT_OF_REACH, RateGate.OPEN):
        if state in states:
            return state
    return RateGate.HOLDS if states else RateGate.OUT_OF_REACH


def _cell_gate(rate: float, cell: CellOutcomes, cells: int, until_decided: bool) -> RateGate:
    if until_decided:
        return judge_cell_by_sequence(cell.outcomes, rate, cell.remaining, cells)
    if compute_upper_bound(cell.failed, cell.valid).high <= rate:
        return RateGate.HOLDS
    if compute_lower_bound(cell.failed, cell.valid, 1 - ALPHA / cells).low > rate:
        return RateGate.BROKEN
    return RateGate.OPEN if cell.remaining else RateGate.OUT_OF_REACH


def describe_rate_gate(
    rate: float, gate: RateGate, cells: Mapping[str, CellOutcomes], until_decided: bool
) -> str:
    """The gate in words, with the counts of the cell that fails most."""
    worst = max(cells, key=lambda key: _upper(cells[key], until_decided).high)
    cell, bound = cells[worst], _upper(cells[worst], until_decided)
    counts = f"{worst} failed {cell.failed}/{cell.valid}, at most {100 * bound.high:.2g} %"
    limit = f"{100 * rate:g} %"
    if gate is RateGate.HOLDS:
        return f"every cell fails less often than {limit}: at worst {counts} (95 %)"
    if gate is RateGate.BROKEN:
        return f"the gate of {limit} is broken: {counts} (95 %)"
    need = attempts_needed_below_anytime if until_decided else attempts_needed_below
    needed = f"{need(rate)} clean attempts per cell prove it" if rate else "no run can prove it"
    return f"undecided whether every cell fails less often than {limit}: {counts}; {needed}"


def _upper(cell: CellOutcomes, until_decided: bool) -> Interval:
    return (compute_confidence_sequence if until_decided else compute_upper_bound)(
        cell.failed, cell.valid
    )

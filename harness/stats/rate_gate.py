"""The claim that every cell fails less often than a rate. Pure."""

import math
from collections.abc import Callable, Iterator, Mapping
from enum import Enum

from harness.stats.contrasts import ALPHA
from harness.stats.intervals import (
    Interval,
    check_rate,
    compute_confidence_sequence,
    compute_log_e,
    compute_log_e_above,
    compute_log_e_below,
    compute_lower_bound,
    compute_upper_bound,
    compute_upper_sequence,
)
from harness.stats.planned import CellOutcomes, Question


class RateGate(Enum):
    """Where a claim "every cell fails less often than x" stands."""

    HOLDS = "holds"
    BROKEN = "broken"
    OPEN = "open"
    OUT_OF_REACH = "out of reach"


#: Log e-value against a rate from one side: the rate, failures, attempts.
LogE = Callable[[float, int, int], float]


def judge_rate_gate(question: Question, cells: Mapping[str, CellOutcomes]) -> RateGate:
    """Judge whether every cell fails less often than the question's rate.

    That all cells hold needs no correction (each must pass its own test); that one is broken is
    Bonferroni over cells. Since version 2 of the rules an infrastructure attempt counts as failed
    for "holds" and as passed for "broken"; version 1 leaves it out.
    """
    states = [_judge_cell(question, cell, len(cells)) for cell in cells.values()]
    for state in (RateGate.BROKEN, RateGate.OUT_OF_REACH, RateGate.OPEN):
        if state in states:
            return state
    return RateGate.HOLDS if states else RateGate.OUT_OF_REACH


def _judge_cell(question: Question, cell: CellOutcomes, cells: int) -> RateGate:
    assert question.gate is not None
    check_rate(question.gate, "a gate")
    if question.rule.version < 2:
        cell = CellOutcomes([o for o in cell.outcomes if o is not None], cell.remaining)
    if question.until_decided:
        below, above = choose_e(question)
        return judge_cell_by_sequence(question.gate, cell, cells, below, above)
    if bound_cell(question, cell).high <= question.gate:
        return RateGate.HOLDS
    lowest = compute_lower_bound(cell.failed, len(cell.outcomes), 1 - ALPHA / cells)
    if lowest.low > question.gate:
        return RateGate.BROKEN
    return RateGate.OPEN if cell.remaining else RateGate.OUT_OF_REACH


def choose_e(question: Question) -> tuple[LogE, LogE]:
    """Return the e-values for "below" and for "above" the gate, by the version of the rules."""
    if question.rule.version < 2:
        return compute_log_e, compute_log_e
    return compute_log_e_below, compute_log_e_above


def judge_cell_by_sequence(
    rate: float,
    cell: CellOutcomes,
    cells: int = 1,
    below: LogE = compute_log_e_below,
    above: LogE = compute_log_e_above,
) -> RateGate:
    """Judge one cell's gate by e-processes over its attempts in lease order.

    Holds from when the e-value for a rate below first reaches 1/alpha; broken from when the one
    for a rate above reaches cells/alpha, since one broken cell breaks the run's gate; out of reach
    if not even `remaining` passes, or failures, could bring either (curtailment).
    """
    holds, breaks = math.log(1 / ALPHA), math.log(cells / ALPHA)
    most = fewest = n = 0
    for n, most, fewest in _count_prefixes(cell):
        if most < rate * n and below(rate, most, n) >= holds:
            return RateGate.HOLDS
        if fewest > rate * n and above(rate, fewest, n) >= breaks:
            return RateGate.BROKEN
    n += cell.remaining
    fewest += cell.remaining
    passes = most < rate * n and below(rate, most, n) >= holds
    fails = fewest > rate * n and above(rate, fewest, n) >= breaks
    return RateGate.OPEN if passes or fails else RateGate.OUT_OF_REACH


def _count_prefixes(cell: CellOutcomes) -> Iterator[tuple[int, int, int]]:
    """Yield attempts, and the most and the fewest failures among them, after each attempt."""
    most = fewest = 0
    for n, outcome in enumerate(cell.outcomes, 1):
        most, fewest = most + (outcome is not False), fewest + (outcome is True)
        yield n, most, fewest


def bound_cell(question: Question, cell: CellOutcomes) -> Interval:
    """Return the bound that a gate's sentence states, by the test that decides the gate.

    Until decided it is that of the look which decided, since later attempts cannot undo it.
    """
    if question.rule.version < 2:
        old = compute_confidence_sequence if question.until_decided else compute_upper_bound
        return old(cell.failed, cell.valid)
    k, n = cell.failed + cell.infra, len(cell.outcomes)
    if not question.until_decided:
        return compute_upper_bound(k, n)
    rate, limit = question.gate or 0.0, math.log(1 / ALPHA)
    held = (
        (most, at)
        for at, most, _ in _count_prefixes(cell)
        if most < rate * at and compute_log_e_below(rate, most, at) >= limit
    )
    return compute_upper_sequence(*next(held, (k, n)))

"""Decisions that stay valid however often a run is looked at. Pure.

Every look uses `completed_prefix`: the attempts in the order of their lease, up to the first that
is still in flight. Attempts taken as they finish would be biased, because hangs finish last.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile
from typing import TypeVar

from harness.stats.contrasts import ALPHA, Comparison
from harness.stats.intervals import Interval, RateError, check_rate, confidence_sequence

T = TypeVar("T")

#: What an attempt of a block came to: failed, passed, or None for infrastructure.
Outcome = bool | None

#: Alternatives the e-process is a mixture over, beside the planned one: a reference that never
#: fails, and pairs of rates spread over the rest. Fixed before any data, so any choice is valid.
EDGES = ((0.1, 0.0), (0.5, 0.0))
INTERIOR = ((0.2, 0.02), (0.3, 0.1), (0.5, 0.1), (0.9, 0.5), (0.98, 0.8))
PLANNED = (0.2, 0.0)

METHOD = "e-process (Turner, Ly and Grünwald)"


@dataclass(frozen=True, slots=True)
class Blocks:
    """Completed blocks of one attempt per cell, counted by what failed in them."""

    neither: int
    reference_only: int
    arm_only: int
    both: int

    def swapped(self) -> "Blocks":
        """The same blocks with arm and reference exchanged."""
        return Blocks(self.neither, self.arm_only, self.reference_only, self.both)


@dataclass(frozen=True, slots=True)
class Evidence:
    """How strongly the blocks speak for a difference, and for which.

    `e` uses the blocks without infrastructure; `e_worst` uses all, each infrastructure attempt
    counted against the difference, and is what decides.
    """

    e: float
    e_worst: float
    arm_is_worse: bool
    blocks: int


def completed_prefix(in_lease_order: Sequence[T | None]) -> list[T]:
    """The results up to the first attempt in flight (None): what a look may use.

    Membership does not depend on how long any attempt takes, so time to finish cannot select.
    """
    finished = takewhile(lambda item: item is not None, in_lease_order)
    return [item for item in finished if item is not None]


def mixture(planned: tuple[float, float] = PLANNED) -> list[tuple[float, float, float]]:
    """(weight, rate, reference rate) of the alternatives: half planned, quarter edges, quarter
    interior. The planned pair is put with its larger rate first."""
    high, low = max(planned), min(planned)
    check_rate(high)
    check_rate(low)
    if high == low:
        raise RateError(f"equal rates of {high} and {low} leave nothing to decide")
    edges = [(0.25 / len(EDGES), *pair) for pair in EDGES]
    return [(0.5, high, low), *edges, *((0.25 / len(INTERIOR), *pair) for pair in INTERIOR)]


def block_factors(rate: float, reference: float) -> tuple[float, float, float, float]:
    """E-value of one block against equal rates, by what failed: neither, reference, arm, both.

    Growth-rate optimal for this simple alternative: the alternative's likelihood over that of the
    mean rate (Turner, Ly and Grünwald 2024, "Generic e-variables for exact sequential k-sample
    tests"). Its expectation is at most 1 at any common rate, for independent attempts.
    """
    mean = (rate + reference) / 2
    passed, reference_passed, mean_passed = 1 - rate, 1 - reference, 1 - mean
    return (
        passed * reference_passed / mean_passed**2,
        passed * reference / (mean * mean_passed),
        rate * reference_passed / (mean * mean_passed),
        rate * reference / mean**2,
    )


def one_sided_e(blocks: Blocks, planned: tuple[float, float] = PLANNED) -> float:
    """E-value for "the arm fails more often": the mixture of products of `block_factors`.

    A test martingale's value under equal rates, hence P(ever >= 1/alpha) <= alpha (Ville 1939).
    """
    counts = (blocks.neither, blocks.reference_only, blocks.arm_only, blocks.both)
    return sum(weight * _product(counts, a, b) for weight, a, b in mixture(planned))


def _product(counts: tuple[int, int, int, int], rate: float, reference: float) -> float:
    log = 0.0
    for count, factor in zip(counts, block_factors(rate, reference), strict=True):
        if count and not factor:
            return 0.0
        log += count * math.log(factor) if count else 0.0
    return math.exp(min(log, 700.0))


def evidence(
    arm: Sequence[Outcome], reference: Sequence[Outcome], planned: tuple[float, float] = PLANNED
) -> Evidence:
    """The e-process of a contrast after the completed blocks of two cells, in lease order.

    Two-sided: half of the larger one-sided e-value. Attempts beyond the shorter cell wait for
    their partner. `e_worst` holds whatever the infrastructure attempts would have been, because a
    one-sided e-value only falls when an arm's failure becomes a pass or a reference's pass a
    failure.
    """
    pairs = list(zip(arm, reference, strict=False))
    valid = _count([(a, b) for a, b in pairs if a is not None and b is not None])
    up, down = one_sided_e(valid, planned), one_sided_e(valid.swapped(), planned)
    against_arm = _count([(bool(a), b is None or b) for a, b in pairs])
    for_arm = _count([(a is None or a, bool(b)) for a, b in pairs])
    worst = one_sided_e(against_arm if up >= down else for_arm.swapped(), planned)
    return Evidence(max(up, down) / 2, worst / 2, up >= down, len(pairs))


def _count(pairs: Sequence[tuple[bool, bool]]) -> Blocks:
    return Blocks(
        pairs.count((False, False)),
        pairs.count((False, True)),
        pairs.count((True, False)),
        pairs.count((True, True)),
    )


def threshold(contrasts: int, alpha: float = ALPHA) -> float:
    """e at which one of m planned contrasts is decided: m/alpha (Bonferroni on e-values)."""
    if contrasts < 1:
        raise RateError("no contrast is planned: there is nothing to decide")
    return contrasts / alpha


def can_be_decided(
    arm: Sequence[Outcome],
    reference: Sequence[Outcome],
    remaining: int,
    needed: float,
    planned: tuple[float, float] = PLANNED,
) -> bool:
    """Whether `remaining` more blocks could still bring the contrast to `needed` (curtailment).

    Looks at the two most extreme futures; stopping where neither suffices costs no validity.
    """
    n = min(len(arm), len(reference))
    most, least = [True] * remaining, [False] * remaining
    up = evidence([*arm[:n], *most], [*reference[:n], *least], planned)
    down = evidence([*arm[:n], *least], [*reference[:n], *most], planned)
    return max(up.e_worst, down.e_worst) >= needed


def difference_sequence(
    k: int, n: int, reference_k: int, reference_n: int, level: float = 0.95
) -> Interval:
    """Anytime-valid interval of a difference of rates: two sequences at half the error each."""
    each = 1 - (1 - level) / 2
    arm = confidence_sequence(k, n, each)
    reference = confidence_sequence(reference_k, reference_n, each)
    method = "two beta-binomial confidence sequences"
    return Interval(arm.low - reference.high, arm.high - reference.low, level, method)


def compare_sequentially(
    arm: Sequence[Outcome], reference: Sequence[Outcome], e: float
) -> Comparison:
    """The comparison of a run that may have stopped early; p = 1/e, valid at every look."""
    n = min(len(arm), len(reference))
    counts = (*_tally(arm[:n]), *_tally(reference[:n]))
    return Comparison(*counts, difference_sequence(*counts), min(1.0, 1 / e) if e else 1.0, METHOD)


def _tally(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    valid = [outcome for outcome in outcomes if outcome is not None]
    return sum(valid), len(valid)


class Gate(Enum):
    """Where a claim "every cell fails less often than x" stands."""

    HOLDS = "holds"
    BROKEN = "broken"
    OPEN = "open"
    OUT_OF_REACH = "out of reach"


def gate_by_sequence(k: int, n: int, rate: float, remaining: int, cells: int = 1) -> Gate:
    """Judge one cell's gate at a look, by the confidence sequence.

    It holds where the 95 % sequence lies below the rate, is broken where it lies above (at
    alpha/cells, since one broken cell breaks the run's gate), and is out of reach where not even
    `remaining` passes or failures could bring either (curtailment).
    """
    check_rate(rate, "a gate")
    if confidence_sequence(k, n).high < rate:
        return Gate.HOLDS
    strict = 1 - ALPHA / cells
    if confidence_sequence(k, n, strict).low > rate:
        return Gate.BROKEN
    passes = confidence_sequence(k, n + remaining).high < rate
    fails = confidence_sequence(k + remaining, n + remaining, strict).low > rate
    return Gate.OPEN if passes or fails else Gate.OUT_OF_REACH

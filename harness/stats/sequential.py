"""Decisions that stay valid however often a run is looked at. Pure.

Every look uses the attempts in the order of their lease, up to the first that is still in flight
(`analysis.outcomes.PrefixReader`). Attempts taken as they finish would be biased, because hangs
finish last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.core.decision_rule import Alternative
from harness.core.plan import EXPECTED_RATES
from harness.stats.contrasts import ALPHA, Comparison
from harness.stats.intervals import (
    Interval,
    RateError,
    check_rate,
    compute_confidence_sequence,
)

#: The pair of rates a run is planned to tell apart.
RatePair = tuple[float, float]

#: What an attempt of a block came to: failed, passed, or None for infrastructure.
Outcome = bool | None

#: Alternatives the e-process is a mixture over, beside the planned one: a reference that never
#: fails, and pairs of rates spread over the rest. Fixed before any data, so any choice is valid.
EDGES = ((0.1, 0.0), (0.5, 0.0))
INTERIOR = ((0.2, 0.02), (0.3, 0.1), (0.5, 0.1), (0.9, 0.5), (0.98, 0.8))

METHOD = "e-process"


@dataclass(frozen=True, slots=True)
class Blocks:
    """Completed blocks of one attempt per cell, counted by what failed in them."""

    neither: int
    reference_only: int
    arm_only: int
    both: int

    def swap_arms(self) -> "Blocks":
        """The same blocks with arm and reference exchanged."""
        return Blocks(self.neither, self.arm_only, self.reference_only, self.both)


@dataclass(frozen=True, slots=True)
class Evidence:
    """How strongly the blocks speak for a difference, and for which.

    Each is the highest value so far. `e` uses the blocks without infrastructure; `e_worst` uses
    all, each infrastructure attempt counted against the difference, and is what decides.
    """

    e: float
    e_worst: float
    arm_is_worse: bool
    blocks: int


def list_alternatives(expected: RatePair = EXPECTED_RATES) -> list[tuple[float, float, float]]:
    """(weight, rate, reference rate) of the alternatives: half expected, quarter edges, quarter
    interior. The planned pair is put with its larger rate first."""
    high, low = max(expected), min(expected)
    check_rate(high)
    check_rate(low)
    if high == low:
        raise RateError(f"equal rates of {high} and {low} leave nothing to decide")
    edges = [(0.25 / len(EDGES), *pair) for pair in EDGES]
    return [(0.5, high, low), *edges, *((0.25 / len(INTERIOR), *pair) for pair in INTERIOR)]


def compute_block_factors(rate: float, reference: float) -> tuple[float, float, float, float]:
    """E-value of one block against equal rates, by what failed: neither, reference, arm, both.

    Growth-rate optimal for this simple alternative: the alternative's likelihood over that of the
    mean rate (Turner, Ly and Grünwald 2024, "Generic e-variables for exact sequential k-sample
    tests"). Its expectation is at most 1 at any common rate, for independent attempts.
    """
    mean = (rate + reference) / 2
    fails, reference_fails = rate / mean, reference / mean
    passes, reference_passes = (1 - rate) / (1 - mean), (1 - reference) / (1 - mean)
    return (
        passes * reference_passes,
        passes * reference_fails,
        fails * reference_passes,
        fails * reference_fails,
    )


def weigh_evidence(
    arm: Sequence[Outcome],
    reference: Sequence[Outcome],
    expected: RatePair = EXPECTED_RATES,
    alternative: Alternative = Alternative.TWO_SIDED,
) -> Evidence:
    """Return the e-process of a contrast over the completed blocks of two cells, in lease order.

    Each one-sided e-value is the mixture of products of `compute_block_factors`: a test martingale
    under equal rates, hence P(ever >= 1/alpha) <= alpha (Ville 1939). Two-sided: half of the
    larger, the highest it ever was, so that attempts drained after a decision cannot undo it.
    Attempts beyond the shorter cell wait for a partner. `e_worst` holds whatever the infrastructure
    attempts would have been, because a one-sided e-value only falls when an arm's failure becomes
    a pass or a reference's pass a failure.
    """
    pairs = list(zip(arm, reference, strict=False))
    valid = _valid(pairs)
    up = _highest([(bool(a), b is None or b) for a, b in pairs], expected)
    down = _highest([(bool(b), a is None or a) for a, b in pairs], expected)
    e_up, e_down = up, down
    if len(valid) < len(pairs):
        e_up, e_down = _highest(valid, expected), _highest(_exchange(valid), expected)
    if alternative is Alternative.TWO_SIDED:
        return Evidence(max(e_up, e_down) / 2, max(up, down) / 2, up >= down, len(pairs))
    if alternative is Alternative.MORE:
        return Evidence(e_up, up, True, len(pairs))
    return Evidence(e_down, down, False, len(pairs))


def _highest(pairs: Sequence[tuple[bool, bool]], expected: RatePair) -> float:
    """Return the largest one-sided e-value over the prefixes of the blocks."""
    import numpy as np

    alternatives = list_alternatives(expected)
    weights = np.array([weight for weight, _, _ in alternatives])
    if not pairs:
        return float(weights.sum())
    factors = np.array([compute_block_factors(r, q) for _, r, q in alternatives])
    with np.errstate(divide="ignore"):
        logs = np.log(factors)
    codes = np.array([2 * fails + other for fails, other in pairs])
    paths = np.minimum(np.cumsum(logs[:, codes], axis=1), 690.0)
    return float(max(weights.sum(), (weights @ np.exp(paths)).max()))


def _valid(pairs: Sequence[tuple[Outcome, Outcome]]) -> list[tuple[bool, bool]]:
    return [(a, b) for a, b in pairs if a is not None and b is not None]


def _exchange(pairs: Sequence[tuple[bool, bool]]) -> list[tuple[bool, bool]]:
    return [(b, a) for a, b in pairs]


def count_blocks(arm: Sequence[Outcome], reference: Sequence[Outcome]) -> Blocks:
    """The completed blocks of two cells that hold no infrastructure attempt, counted."""
    pairs = _valid(list(zip(arm, reference, strict=False)))
    return Blocks(
        pairs.count((False, False)),
        pairs.count((False, True)),
        pairs.count((True, False)),
        pairs.count((True, True)),
    )


def compute_threshold(contrasts: int, alpha: float = ALPHA) -> float:
    """e at which one of m planned contrasts is decided: m/alpha (Bonferroni on e-values)."""
    if contrasts < 1:
        raise RateError("no contrast is planned: there is nothing to decide")
    return contrasts / alpha


def bound_difference_anytime(
    k: int, n: int, reference_k: int, reference_n: int, level: float = 0.95
) -> Interval:
    """Anytime-valid interval of a difference of rates: two sequences at half the error each."""
    each = 1 - (1 - level) / 2
    arm = compute_confidence_sequence(k, n, each)
    reference = compute_confidence_sequence(reference_k, reference_n, each)
    method = "two beta-binomial confidence sequences"
    return Interval(arm.low - reference.high, arm.high - reference.low, level, method)


def compare_sequentially(
    arm: Sequence[Outcome], reference: Sequence[Outcome], p: float
) -> Comparison:
    """Return the comparison of a run that may have stopped early, with its p for every look."""
    n = min(len(arm), len(reference))
    counts = (*_tally(arm[:n]), *_tally(reference[:n]))
    return Comparison(*counts, bound_difference_anytime(*counts), p, METHOD)


def _tally(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    valid = [outcome for outcome in outcomes if outcome is not None]
    return sum(valid), len(valid)

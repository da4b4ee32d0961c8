"""Two cells: test, effect, correction, and the sentence they become. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from harness.stats.exact_tests import compute_boschloo_p, compute_fisher_p
from harness.stats.intervals import CountError, Interval

#: The error rate of every family of claims.
ALPHA = 0.05

#: Up to this many attempts in a cell Boschloo's exact test takes at most 0.3 s a comparison.
EXACT_LIMIT = 1000

_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Comparison:
    """Arm against reference: k failures of n each, the difference of rates, and its test."""

    k: int
    n: int
    reference_k: int
    reference_n: int
    difference: Interval
    p: float
    test: str

    @property
    def effect(self) -> float:
        """Difference of the observed rates, arm minus reference."""
        return self.k / self.n - self.reference_k / self.reference_n


class Finding(Enum):
    """What a planned comparison came to."""

    DIFFERENT = "different"
    UNDECIDED = "undecided"
    CANNOT_SAY = "cannot say"


@dataclass(frozen=True, slots=True)
class Contrast:
    """A planned comparison, judged within its family. `where` names what both cells share.

    `reason` says why nothing can be said, `outlook` what would decide an undecided one;
    `correction` names what was done about the other comparisons of the family. `arm_is_worse`: the
    direction of the evidence that decided; the final counts may point the other way after drift.
    """

    arm: str
    reference: str
    where: str
    comparison: Comparison | None
    p_adjusted: float
    finding: Finding
    reason: str = ""
    outlook: str = ""
    correction: str = ""
    arm_is_worse: bool | None = None


def compare_rates(k: int, n: int, reference_k: int, reference_n: int) -> Comparison:
    """Test whether two rates differ, two-sided, and bound their difference.

    Boschloo's exact test (Boschloo 1970) up to EXACT_LIMIT attempts in a cell, above it
    Fisher's (conservative). Assumes independent attempts and numbers fixed in advance.
    Raises CountError for an empty arm or impossible counts.
    """
    if not (0 <= k <= n and 0 <= reference_k <= reference_n and n and reference_n):
        raise CountError(f"{k}/{n} against {reference_k}/{reference_n} cannot be compared")
    exact = max(n, reference_n) <= EXACT_LIMIT
    p = (compute_boschloo_p if exact else compute_fisher_p)(k, n, reference_k, reference_n)
    difference = compute_newcombe(k, n, reference_k, reference_n)
    test = "Boschloo" if exact else "Fisher"
    return Comparison(k, n, reference_k, reference_n, difference, p, test)


def compute_newcombe(k: int, n: int, reference_k: int, reference_n: int) -> Interval:
    """95 % interval of the difference of two rates: Newcombe 1998, method 10 (Wilson hybrid)."""
    p, q = k / n, reference_k / reference_n
    low, high = compute_wilson(k, n)
    reference_low, reference_high = compute_wilson(reference_k, reference_n)
    return Interval(
        p - q - math.hypot(p - low, reference_high - q),
        p - q + math.hypot(high - p, q - reference_low),
        0.95,
        "newcombe",
    )


def compute_wilson(k: int, n: int) -> tuple[float, float]:
    """95 % score interval of one rate (Wilson 1927), as an ingredient of `compute_newcombe`."""
    p, z2 = k / n, _Z95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def adjust_holm(ps: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """Holm's step-down adjustment (1979) of the p-values of one planned family.

    With weights a hypothesis of twice the weight has twice the share of the error.
    """
    share = weights if weights is not None else [1.0] * len(ps)
    adjusted = [0.0] * len(ps)
    highest, left = 0.0, sum(share)
    for index in sorted(range(len(ps)), key=lambda i: ps[i] / share[i]):
        highest = max(highest, min(1.0, left * ps[index] / share[index]))
        adjusted[index] = highest
        left -= share[index]
    return adjusted

"""Two cells: test, effect, correction, and the sentence they become. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from harness.stats.intervals import CountError, Interval

#: The error rate of every family of claims.
ALPHA = 0.05

#: Above this many attempts in a cell Boschloo's exact test takes seconds a comparison.
EXACT_LIMIT = 200

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
    `correction` names what was done about the other comparisons of the family.
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


def compare_rates(k: int, n: int, reference_k: int, reference_n: int) -> Comparison:
    """Test whether two rates differ, two-sided, and bound their difference.

    Boschloo's exact test (Boschloo 1970; scipy) up to EXACT_LIMIT attempts in a cell, above it
    Fisher's (conservative). Assumes independent attempts and numbers fixed in advance.
    Raises CountError for an empty arm or impossible counts.
    """
    if not (0 <= k <= n and 0 <= reference_k <= reference_n and n and reference_n):
        raise CountError(f"{k}/{n} against {reference_k}/{reference_n} cannot be compared")
    exact = max(n, reference_n) <= EXACT_LIMIT
    p = (_boschloo if exact else _fisher)(k, n, reference_k, reference_n)
    difference = compute_newcombe(k, n, reference_k, reference_n)
    test = "Boschloo" if exact else "Fisher"
    return Comparison(k, n, reference_k, reference_n, difference, p, test)


def _boschloo(k: int, n: int, reference_k: int, reference_n: int) -> float:
    from scipy.stats import boschloo_exact

    if k + reference_k in (0, n + reference_n):
        return 1.0
    # In scipy the columns are the groups.
    table = [[k, reference_k], [n - k, reference_n - reference_k]]
    return min(1.0, float(boschloo_exact(table).pvalue))


def _fisher(k: int, n: int, reference_k: int, reference_n: int) -> float:
    from scipy.stats import fisher_exact

    return float(fisher_exact([[k, reference_k], [n - k, reference_n - reference_k]]).pvalue)


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


def adjust_holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (1979) of the p-values of one planned family."""
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = highest
    return adjusted


def describe_contrast(contrast: Contrast) -> str:
    """The contrast in words that can be read alone; points are of percent, arm minus reference."""
    where = f" for {contrast.where}" if contrast.where else ""
    found = contrast.comparison
    if found is None:
        return f"cannot compare {contrast.arm} with {contrast.reference}{where}: {contrast.reason}"
    counts = f"{found.k}/{found.n} against {found.reference_k}/{found.reference_n}"
    method = ", ".join(part for part in (found.test, contrast.correction) if part)
    if contrast.finding is Finding.DIFFERENT:
        more = "more" if found.effect > 0 else "less"
        return (
            f"{contrast.arm} fails {more} often than {contrast.reference}{where}: {counts}, "
            f"{format_difference(found)}, p = {contrast.p_adjusted:.2g} ({method})"
        )
    if contrast.finding is Finding.CANNOT_SAY:
        asked = f"whether {contrast.arm} and {contrast.reference} differ{where}"
        return f"cannot say {asked}: {counts}, {contrast.reason}"
    pair = f"{contrast.arm} against {contrast.reference}{where}"
    return f"undecided: {pair}, {counts}" + (f"; {contrast.outlook}" if contrast.outlook else "")


def format_difference(found: Comparison) -> str:
    """`difference 16 points [3, 29]`, turned so that the direction stated is positive."""
    sign = 1 if found.effect >= 0 else -1
    bounds = sorted(round(100 * sign * b) for b in (found.difference.low, found.difference.high))
    return f"difference {round(100 * abs(found.effect))} points [{bounds[0]}, {bounds[1]}]"

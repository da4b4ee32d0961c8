"""Two arms compared within strata (other axes): one pooled answer, and whether it is one. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.stats.distributions import compute_chi_square_tail
from harness.stats.intervals import CountError


@dataclass(frozen=True, slots=True)
class Stratum:
    """Failures and attempts of both arms where all other axes are equal."""

    k: int
    n: int
    reference_k: int
    reference_n: int

    @property
    def total(self) -> int:
        """Attempts of both arms."""
        return self.n + self.reference_n

    @property
    def failed(self) -> int:
        """Failures of both arms."""
        return self.k + self.reference_k


@dataclass(frozen=True, slots=True)
class PooledStrata:
    """The pooled comparison. `odds_ratio` is None where it is 0/0 or unbounded, `p_homogeneity`
    None where fewer than two strata carry information on it."""

    odds_ratio: float | None
    p: float
    p_corrected: float
    p_homogeneity: float | None


def pool_strata(strata: Sequence[Stratum]) -> PooledStrata:
    """Cochran-Mantel-Haenszel test, pooled odds ratio and homogeneity over strata.

    CMH (Cochran 1954; Mantel and Haenszel 1959), without and with continuity correction;
    Mantel-Haenszel odds ratio; Breslow-Day test that the strata share it. Assumes independent
    attempts and one odds ratio; the chi-square reference is approximate in small strata, where
    `permutation.compute_association_p` is exact. Raises CountError for impossible counts.
    """
    for s in strata:
        if not (0 <= s.k <= s.n and 0 <= s.reference_k <= s.reference_n):
            raise CountError(f"{s.k}/{s.n} against {s.reference_k}/{s.reference_n} cannot be")
    usable = [s for s in strata if s.n and s.reference_n and 0 < s.failed < s.total]
    gap = abs(sum(s.k - s.failed * s.n / s.total for s in usable))
    variance = sum(_variance(s) for s in usable)
    odds = _pool_odds(usable)
    corrected = max(gap - 0.5, 0.0)
    return PooledStrata(
        odds, _tail(gap, variance), _tail(corrected, variance), _homogeneity(usable, odds)
    )


def _variance(s: Stratum) -> float:
    return s.failed * (s.total - s.failed) * s.n * s.reference_n / (s.total**2 * (s.total - 1))


def _tail(gap: float, variance: float) -> float:
    return math.erfc(gap / math.sqrt(2 * variance)) if variance else 1.0


def _pool_odds(strata: Sequence[Stratum]) -> float | None:
    above = sum(s.k * (s.reference_n - s.reference_k) / s.total for s in strata)
    below = sum((s.n - s.k) * s.reference_k / s.total for s in strata)
    return above / below if below and above else None


def _homogeneity(strata: Sequence[Stratum], odds: float | None) -> float | None:
    if odds is None or len(strata) < 2:
        return None
    return compute_chi_square_tail(len(strata) - 1, sum(_breslow_day(s, odds) for s in strata))


def _breslow_day(s: Stratum, odds: float) -> float:
    """Squared distance of a stratum's failures from those expected under the pooled odds."""
    expected = _expect(s, odds)
    rest = s.failed - expected
    cells = (expected, rest, s.n - expected, s.reference_n - rest)
    return (s.k - expected) ** 2 * sum(1 / cell for cell in cells)


def _expect(s: Stratum, odds: float) -> float:
    """The arm's failures that give this odds ratio with these margins."""
    if math.isclose(odds, 1):
        return s.failed * s.n / s.total
    a, b = 1 - odds, s.reference_n - s.failed + odds * (s.n + s.failed)
    c = -odds * s.n * s.failed
    root = math.sqrt(b * b - 4 * a * c)
    # The root that lies within the margins, in the form that does not cancel.
    return -2 * c / (b + root)

"""Attempts that are not independent because they were forked from one zygote. Pure.

Forks of one zygote share its hash seed and its addresses. If failure rates differ between zygotes,
a cell's attempts count for fewer than they are, and a difference between two cells must be larger
than zygotes alone make it.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.stats.contrasts import ALPHA
from harness.stats.distributions import compute_beta_cdf, compute_beta_quantile
from harness.stats.intervals import Interval
from harness.stats.permutation import compute_association_p

#: Failed and valid attempts of each zygote, in one cell.
Units = Mapping[Hashable, tuple[int, int]]
Bound = Callable[[float, float, float], Interval]


@dataclass(frozen=True, slots=True)
class Clusters:
    """The zygotes of every cell, by its name, of a run in which rates differ between zygotes.

    effect: attempts that count as one (Kish's design effect, with Korn and Graubard's correction
    for few zygotes).
    """

    cells: Mapping[str, Units]
    effect: float

    def widen(self, bound: Bound) -> Bound:
        """Return the interval of a rate with so many fewer attempts (Korn and Graubard 1998)."""

        def bound_clustered(k: float, n: float, level: float) -> Interval:
            found = bound(k / self.effect, n / self.effect, level)
            return replace(found, method=f"{found.method}, clustered by zygote")

        return bound_clustered

    def compute_p(self, arm: str, references: Sequence[str]) -> float:
        """Return the p-value that an arm's rate is that of the pooled references.

        Student's t on zygotes' residuals (linearised ratio, as in survey sampling): a zygote that
        served both cells contributes the difference of both, hence little.
        """
        one, other = self.cells.get(arm, {}), _pool([self.cells.get(r, {}) for r in references])
        rate, n = _rate(one)
        other_rate, other_n = _rate(other)
        zygotes = [*dict.fromkeys([*one, *other])]
        if not n or not other_n or len(zygotes) < 2:
            return 1.0
        residuals = [
            _residual(one, zygote, rate, n) - _residual(other, zygote, other_rate, other_n)
            for zygote in zygotes
        ]
        freedom = len(zygotes) - 1
        variance = sum(r * r for r in residuals) * len(zygotes) / freedom
        if not variance:
            return 0.0 if rate != other_rate else 1.0
        return _find_t_tails((rate - other_rate) ** 2 / variance, freedom)


def find_clusters(cells: Mapping[str, Units]) -> Clusters | None:
    """Return the clusters if failure rates differ between zygotes within cells, at 5 %."""
    failed: list[bool] = []
    zygotes: list[Hashable] = []
    strata: list[str] = []
    for name, units in cells.items():
        for zygote, (k, n) in units.items():
            failed += [True] * k + [False] * (n - k)
            zygotes += [zygote] * n
            strata += [name] * n
    if len(set(zygotes)) < 2:
        return None
    p = compute_association_p(failed, zygotes, strata)
    if p is None or p > ALPHA:
        return None
    return Clusters(cells, _estimate_effect(cells, len(set(zygotes))))


def _estimate_effect(cells: Mapping[str, Units], zygotes: int) -> float:
    """Return the variance of all cells' failures over its binomial value, at least 1."""
    seen = expected = 0.0
    for units in cells.values():
        rate, n = _rate(units)
        if len(units) > 1:
            share = len(units) / (len(units) - 1)
            seen += share * sum((k - rate * m) ** 2 for k, m in units.values())
            expected += n * rate * (1 - rate)
    few = _find_t_quantile(zygotes - 1) / _find_t_quantile(1000)
    return max(1.0, seen / expected * few**2) if expected else 1.0


def _pool(cells: Sequence[Units]) -> Units:
    found: dict[Hashable, tuple[int, int]] = {}
    for units in cells:
        for zygote, (k, n) in units.items():
            old_k, old_n = found.get(zygote, (0, 0))
            found[zygote] = old_k + k, old_n + n
    return found


def _rate(units: Units) -> tuple[float, int]:
    n = sum(m for _, m in units.values())
    return (sum(k for k, _ in units.values()) / n if n else 0.0), n


def _residual(units: Units, zygote: Hashable, rate: float, n: int) -> float:
    k, m = units.get(zygote, (0, 0))
    return (k - rate * m) / n


def _find_t_tails(squared: float, freedom: int) -> float:
    """Return P(|t| beyond it), by the beta distribution."""
    return compute_beta_cdf(freedom / 2, 0.5, freedom / (freedom + squared))


def _find_t_quantile(freedom: int) -> float:
    """Return the t that 2.5 % exceed."""
    x = compute_beta_quantile(freedom / 2, 0.5, ALPHA)
    return math.sqrt(freedom * (1 - x) / x)

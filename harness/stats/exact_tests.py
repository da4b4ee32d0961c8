"""Exact tests of a two-by-two table, for one table and as rejection regions. Pure."""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.stats.distributions import (
    compute_binomial_pmf,
    compute_hypergeometric_pmf,
    list_log_choose,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

#: The common rate is searched on a grid of so many rates, then around the best so many of them.
_GRID, _PEAKS, _ZOOM, _ZOOMS = 201, 3, 21, 5
#: Tables whose Fisher p-values differ by less than this share count as equal.
_TIE = 1e-11


def compute_boschloo_p(k: int, n: int, reference_k: int, reference_n: int) -> float:
    """Return the two-sided p-value of Boschloo's exact test (Boschloo 1970).

    Twice the smaller one-sided p: the largest chance, over all common rates, of a table whose
    one-sided Fisher p is at most the one seen. Assumes two independent binomial counts.
    """
    if k + reference_k in (0, n + reference_n):
        return 1.0
    sides = [(k, n, reference_k, reference_n), (reference_k, reference_n, k, n)]
    if k * reference_n < reference_k * n:
        sides.reverse()
    near, far = (_find_region(*side) for side in sides)
    (_, one, _, other), _ = sides
    p = find_largest_size(near, one, other)
    # The side against the difference seen is seldom the smaller: one rate shows that it is larger.
    pooled = (k + reference_k) / (n + reference_n)
    if _compute_size(far, (other, one), pooled) < p:
        p = min(p, find_largest_size(far, other, one))
    return min(1.0, 2 * p)


def _find_region(k: int, n: int, reference_k: int, reference_n: int) -> "Integers":
    fisher = tabulate_fisher(n, reference_n)
    return _count_below(fisher, float(fisher[k, reference_k]))


def _compute_size(counts: "Integers", sizes: tuple[int, int], rate: float) -> float:
    """Return the chance of a region at one common rate."""
    import numpy as np

    own, other = (compute_binomial_pmf(n, [rate])[0] for n in sizes)
    return float(own @ np.append(0.0, np.cumsum(other))[counts])


def _count_below(fisher: "Floats", limit: float) -> "Integers":
    """Return, for each count of the first group, how many counts of the second lie in the region.

    Fisher's p grows with the second group's failures, so that those are the lowest ones.
    """
    found: Integers = (fisher <= limit * (1 + _TIE)).sum(axis=1)
    return found


def find_largest_size(counts: "Integers", n: int, reference_n: int) -> float:
    """Return the largest chance of a region over all common rates, by a grid and zooms."""
    import numpy as np

    def size(rates: "Floats") -> "Floats":
        on_grid = len(rates) == _GRID
        pmf = _tabulate_pmf(n) if on_grid else compute_binomial_pmf(n, rates)
        other = pmf if n == reference_n else compute_binomial_pmf(reference_n, rates)
        below = np.cumsum(other, axis=1)
        below = np.concatenate([np.zeros((len(rates), 1)), below], axis=1)
        found: Floats = (pmf * below[:, counts]).sum(axis=1)
        return found

    return _maximise(size)


@lru_cache(maxsize=8)
def _tabulate_pmf(n: int) -> "Floats":
    """Return P(k of n) at every rate of the grid: many tables of one size are tested in a run."""
    import numpy as np

    return compute_binomial_pmf(n, np.linspace(0, 1, _GRID))


def _maximise(size: "Callable[[Floats], Floats]") -> float:
    import numpy as np

    rates = np.linspace(0, 1, _GRID)
    sizes = size(rates)
    inner = sizes[1:-1]
    peaks = 1 + np.flatnonzero((inner >= sizes[:-2]) & (inner >= sizes[2:]))
    best = float(sizes.max())
    for peak in peaks[np.argsort(-sizes[peaks])][:_PEAKS]:
        low, high = rates[peak - 1], rates[peak + 1]
        for _ in range(_ZOOMS):
            near = np.linspace(low, high, _ZOOM)
            found = size(near)
            at = int(found.argmax())
            best = max(best, float(found[at]))
            low, high = near[max(at - 1, 0)], near[min(at + 1, _ZOOM - 1)]
    return best


@lru_cache(maxsize=16)
def tabulate_fisher(n: int, reference_n: int) -> "Floats":
    """Return P(first group has at least its failures | margins), for every table."""
    import numpy as np

    choose, other = list_log_choose(n), list_log_choose(reference_n)
    p = np.empty((n + 1, reference_n + 1))
    for total in range(n + reference_n + 1):
        k = np.arange(max(0, total - reference_n), min(n, total) + 1)
        logs = choose[k] + other[total - k]
        weights = np.exp(logs - logs.max())
        tails = np.cumsum(weights[::-1])[::-1]
        p[k, total - k] = tails / tails[0]
    return p


@lru_cache(maxsize=64)
def build_boschloo_region(n: int, alpha: float = 0.05) -> "NDArray[np.bool_]":
    """Return the tables (failures of one cell, of the other) that Boschloo's test rejects at alpha.

    The largest one-sided region, in the order of Fisher's p, whose size is at most alpha/2 at every
    common rate; and its mirror image.
    """
    import numpy as np

    fisher = tabulate_fisher(n, n)
    limits = np.unique(fisher[fisher <= 0.5])
    low, high = 0, len(limits)
    while low < high:
        middle = (low + high) // 2
        fits = find_largest_size(_count_below(fisher, limits[middle]), n, n) <= alpha / 2
        low, high = (middle + 1, high) if fits else (low, middle)
    if low == 0:
        return np.zeros_like(fisher, dtype=np.bool_)
    region = np.arange(n + 1) < _count_below(fisher, limits[low - 1])[:, None]
    return region | region.T


def compute_fisher_p(k: int, n: int, reference_k: int, reference_n: int) -> float:
    """Return the two-sided p-value of Fisher's exact test: tables no likelier than the one seen."""
    low, chances = compute_hypergeometric_pmf(n, reference_n, k + reference_k)
    return min(1.0, float(chances[chances <= chances[k - low] * (1 + 1e-7)].sum()))

"""Power of two cells at a fixed number of attempts. Pure; scipy is loaded when first used."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.stats.contrasts import ALPHA, EXACT_LIMIT
from harness.stats.intervals import RateError, check_rate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_NUISANCE = 200


@dataclass(frozen=True, slots=True)
class FixedBudget:
    """Attempts per cell for a comparison at a fixed number, and the test that is planned for."""

    n: int
    test: str


def compute_power(n: int, rate: float, target: float, alpha: float = ALPHA) -> float:
    """Probability that two cells of n attempts each are told apart, two-sided at alpha.

    Up to EXACT_LIMIT exact for Boschloo's test: the binomial probability of its rejection region.
    Above, for Fisher's, by the normal approximation with continuity correction (Casagrande, Pike
    and Smith 1978). Assumes independent attempts with one rate per cell.
    """
    check_pair(rate, target)
    if n > EXACT_LIMIT:
        return _fisher_power(n, rate, target, alpha)
    from scipy.stats import binom

    counts = range(n + 1)
    joint = binom.pmf(counts, n, rate)[:, None] * binom.pmf(counts, n, target)[None, :]
    return float(joint[build_boschloo_region(n, alpha)].sum())


def attempts_needed_fixed(
    rate: float, target: float, wanted: float = 0.8, alpha: float = ALPHA
) -> FixedBudget:
    """Smallest fixed number of attempts per cell with the wanted `power`; bisected.

    For m planned contrasts give alpha/m: Holm's first step, hence conservative.
    """
    check_pair(rate, target)
    check_power(wanted)
    low, high = 1, 2
    while compute_power(high, rate, target, alpha) < wanted:
        low, high = high, 2 * high if high >= EXACT_LIMIT else min(2 * high, EXACT_LIMIT)
    while high - low > 1:
        middle = (low + high) // 2
        if compute_power(middle, rate, target, alpha) >= wanted:
            high = middle
        else:
            low = middle
    return FixedBudget(high, "Boschloo" if high <= EXACT_LIMIT else "Fisher")


def _fisher_power(n: int, rate: float, target: float, alpha: float) -> float:
    from scipy.special import ndtr, ndtri

    gap, mean = abs(rate - target), (rate + target) / 2
    uncorrected = n * max(1 - 1 / (n * gap), 0.0) ** 2
    spread = math.sqrt(rate * (1 - rate) + target * (1 - target))
    if spread == 0:
        return 1.0
    critical = -ndtri(alpha / 2) * math.sqrt(2 * mean * (1 - mean))
    return float(ndtr((gap * math.sqrt(uncorrected) - critical) / spread))


@lru_cache(maxsize=64)
def build_boschloo_region(n: int, alpha: float = ALPHA) -> "NDArray[np.bool_]":
    """The tables (failures of one cell, of the other) that Boschloo's test rejects at alpha.

    Tables are ordered by Fisher's one-sided p and taken in while their probability stays at or
    below alpha/2 at every common rate (a grid of 200), on each side.
    """
    import numpy as np
    from scipy.stats import binom

    fisher = _fisher_one_sided(n)
    order = np.argsort(fisher, axis=None)
    order = order[fisher.ravel()[order] <= 0.5]
    rates = np.linspace(0.0, 0.5, _NUISANCE + 1)[1:]
    pmf = binom.pmf(np.arange(n + 1)[:, None], n, rates)
    arm, reference = np.unravel_index(order, fisher.shape)
    sizes = np.cumsum(pmf[arm] * pmf[reference], axis=0)
    # The region of one side is carried to rates above 1/2 by exchanging passes and failures.
    mirrored = np.cumsum(pmf[n - arm] * pmf[n - reference], axis=0)
    size = np.maximum(sizes.max(axis=1), mirrored.max(axis=1))
    ordered = fisher.ravel()[order]
    last_of_tie = np.append(np.diff(ordered) > 1e-12 * ordered[1:], True)
    fits = last_of_tie & (size <= alpha / 2)
    taken = order[: int(np.flatnonzero(fits)[-1]) + 1] if fits.any() else order[:0]
    region = np.zeros_like(fisher, dtype=np.bool_)
    region.ravel()[taken] = True
    return region | region.T


def _fisher_one_sided(n: int) -> "Floats":
    """P(first cell has at least its failures | margins), for every table of two cells of n."""
    import numpy as np
    from scipy.special import gammaln

    counts = np.arange(n + 1)
    choose = gammaln(n + 1) - gammaln(counts + 1) - gammaln(n - counts + 1)
    p = np.empty((n + 1, n + 1))
    for total in range(2 * n + 1):
        k = np.arange(max(0, total - n), min(n, total) + 1)
        logs = choose[k] + choose[total - k]
        weights = np.exp(logs - logs.max())
        p[k, total - k] = np.cumsum(weights[::-1])[::-1] / weights.sum()
    return p


def find_detectable_difference(k: int, n: int, tests: int) -> float | None:
    """Smallest difference, in steps of a point, that two halves of n attempts show with 80 % power.

    `power` at alpha/tests (Holm's first step), around the pooled rate. None where even
    the largest would not be seen.
    """
    if not 0 < k < n:
        raise RateError(f"{k}/{n} failures: the pooled rate must lie inside (0, 1)")
    half = n // 2
    for step in range(1, 101):
        low = min(max(k / n - step / 200, 0.0), 1 - step / 100)
        if half and compute_power(half, low + step / 100, low, ALPHA / tests) >= 0.8:
            return step / 100
    return None


def check_pair(rate: float, target: float) -> None:
    """Raises RateError unless two different rates in [0, 1] are given."""
    check_rate(rate)
    check_rate(target)
    if rate == target:
        raise RateError(f"equal rates of {rate} cannot be told apart by any number of attempts")


def check_contrasts(contrasts: int) -> None:
    """Raises RateError unless at least one contrast is planned."""
    if contrasts < 1:
        raise RateError(f"{contrasts} planned contrasts leave nothing to decide; give at least 1")


def check_power(wanted: float) -> None:
    """Raises RateError unless the power lies inside (0, 1)."""
    if not 0 < wanted < 1:
        raise RateError(f"a power of {wanted} cannot be; give one between 0 and 1")

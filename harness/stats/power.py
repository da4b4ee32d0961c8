"""Power of two cells at a fixed number of attempts. Pure; numpy is loaded when first used."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

from harness.stats.contrasts import ALPHA, EXACT_LIMIT
from harness.stats.distributions import compute_binomial_pmf
from harness.stats.exact_tests import build_boschloo_region
from harness.stats.intervals import RateError, check_rate

#: Exact power is not monotone in n: so far below the n found by bisection a smaller one is sought.
_SAWTOOTH = 0.12
#: Above this n only the bisection is done: every further n costs up to half a second.
_SCAN_LIMIT = 300


@dataclass(frozen=True, slots=True)
class FixedBudget:
    """Attempts per cell for a comparison at a fixed number, and the test that is planned for."""

    n: int
    test: str


def compute_power(n: int, rate: float, target: float, alpha: float = ALPHA) -> float:
    """Return the probability that two cells of n attempts each are told apart, two-sided at alpha.

    Up to EXACT_LIMIT exact for Boschloo's test: the binomial probability of its rejection region.
    Above, for Fisher's, by the normal approximation with continuity correction (Casagrande, Pike
    and Smith 1978). Assumes independent attempts with one rate per cell.
    """
    check_pair(rate, target)
    if n > EXACT_LIMIT:
        return _approximate_fisher_power(n, rate, target, alpha)
    chances, others = compute_binomial_pmf(n, [rate, target])
    return float(chances @ build_boschloo_region(n, alpha) @ others)


@lru_cache(maxsize=64)
def attempts_needed_fixed(
    rate: float, target: float, wanted: float = 0.8, alpha: float = ALPHA
) -> FixedBudget:
    """Return the smallest fixed number of attempts per cell with the wanted power.

    Bisected; up to 300 attempts the numbers just below are tried too, since exact power is a
    sawtooth. For m planned contrasts give alpha/m: Holm's first step, hence conservative.
    """
    check_pair(rate, target)
    check_power(wanted)

    def suffices(n: int) -> bool:
        return compute_power(n, rate, target, alpha) >= wanted

    n = _bisect_smallest(suffices, _first_guess(rate, target, wanted, alpha))
    lowest = math.ceil((1 - _SAWTOOTH) * n) - 2 if n <= _SCAN_LIMIT else n
    n = next(smaller for smaller in range(max(lowest, 1), n + 1) if suffices(smaller))
    return FixedBudget(n, "Boschloo" if n <= EXACT_LIMIT else "Fisher")


def _first_guess(rate: float, target: float, wanted: float, alpha: float) -> int:
    """Double until Fisher's approximate power suffices."""
    n = 2
    while _approximate_fisher_power(n, rate, target, alpha) < wanted:
        n = math.ceil(1.1 * n)
    return n


def _bisect_smallest(suffices: Callable[[int], bool], guess: int) -> int:
    """Return an n that suffices where n - 1 does not, from a guess near it."""
    low, high = max(guess * 3 // 4, 1), guess
    while not suffices(high):
        low, high = high, high + max(high // 8, 1)
    while low > 1 and suffices(low):
        low, high = low * 7 // 8, low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


def _approximate_fisher_power(n: int, rate: float, target: float, alpha: float) -> float:
    normal = NormalDist()
    gap, mean = abs(rate - target), (rate + target) / 2
    uncorrected = n * max(1 - 1 / (n * gap), 0.0) ** 2
    spread = math.sqrt(rate * (1 - rate) + target * (1 - target))
    if spread == 0:
        return 1.0
    critical = -normal.inv_cdf(alpha / 2) * math.sqrt(2 * mean * (1 - mean))
    return normal.cdf((gap * math.sqrt(uncorrected) - critical) / spread)


def find_detectable_difference(k: int, n: int, tests: int) -> float | None:
    """Return the smallest difference that two halves of n attempts show with 80 % power.

    In steps of a hundredth; `compute_power` at alpha/tests (Holm's first step), around the pooled
    rate k/n. None if even the largest would not be seen. Raises RateError for a pooled rate of 0
    or 1.
    """
    if not 0 < k < n:
        raise RateError(f"{k}/{n} failures: the pooled rate must lie inside (0, 1)")
    half = n // 2

    def shows(step: int) -> bool:
        low = min(max(k / n - step / 200, 0.0), 1 - step / 100)
        return compute_power(half, low + step / 100, low, ALPHA / tests) >= 0.8

    if not half or not shows(100):
        return None
    low, high = 0, 100
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high / 100


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

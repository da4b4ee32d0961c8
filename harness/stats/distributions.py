"""Tails, quantiles and tables of a few distributions in closed form, so that nothing loads SciPy.

tests/stats/test_distributions.py holds each of them against SciPy.
"""

import math
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_TINY = 1e-300
_STEPS = 10_000


def compute_log_beta(a: float, b: float) -> float:
    """Return the logarithm of the beta function."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def compute_beta_cdf(a: float, b: float, x: float) -> float:
    """Return P(Beta(a, b) <= x): the regularised incomplete beta function.

    By the continued fraction on the side where it converges fast (Press et al., Numerical Recipes,
    section 6.4).
    """
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - compute_log_beta(a, b))
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, 1 - x) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Evaluate the continued fraction by Lentz's method."""
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _nonzero(1 + term * d)
            c = _nonzero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


@lru_cache(maxsize=4096)
def compute_beta_quantile(a: float, b: float, share: float) -> float:
    """Return the x with P(Beta(a, b) <= x) = share, by bisection to the last bit."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if compute_beta_cdf(a, b, middle) < share else (low, middle)
    return (low + high) / 2


def compute_chi_square_tail(freedom: int, x: float) -> float:
    """Return P(chi-square with so many degrees of freedom > x), by its finite series."""
    half = x / 2
    if half <= 0:
        return 1.0
    first = freedom % 2 / 2
    tail = math.erfc(math.sqrt(half)) if first else 0.0
    steps = freedom // 2
    return tail + sum(
        math.exp((k + first) * math.log(half) - half - math.lgamma(k + first + 1))
        for k in range(steps)
    )


@lru_cache(maxsize=64)
def list_log_choose(n: int) -> "Floats":
    """Return log C(n, k) for k from 0 to n."""
    import numpy as np

    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1.0, n + 1)))])
    chosen: Floats = logs[n] - logs - logs[::-1]
    return chosen


def compute_binomial_pmf(n: int, rates: "ArrayLike") -> "Floats":
    """Return P(k of n) for k from 0 to n: one row per rate."""
    import numpy as np

    p, k = np.asarray(rates, dtype=np.float64).reshape(-1, 1), np.arange(n + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        fails = np.where(k == 0, 0.0, k * np.log(p))
        passes = np.where(k == n, 0.0, (n - k) * np.log1p(-p))
    chances: Floats = np.exp(list_log_choose(n) + fails + passes)
    return chances


def compute_hypergeometric_pmf(first: int, second: int, total: int) -> tuple[int, "Floats"]:
    """Return the lowest possible failures of the first group, and the chance of each from there.

    `total` failures fall at random on `first` and `second` attempts.
    """
    import numpy as np

    low = max(0, total - second)
    k = np.arange(low, min(first, total) + 1)
    logs = list_log_choose(first)[k] + list_log_choose(second)[total - k]
    weights = np.exp(logs - logs.max())
    return low, weights / weights.sum()

"""Intervals for one failure rate. Pure; every function names its method, source and assumptions."""

import math
from collections.abc import Callable
from dataclasses import dataclass


class CountError(ValueError):
    """Counts or levels that cannot be: more failures than attempts, a level outside (0, 1)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds of a rate, with the confidence level and the method that made them."""

    low: float
    high: float
    level: float
    method: str


def clopper_pearson(k: int, n: int, level: float = 0.95) -> Interval:
    """Exact two-sided interval for k failures of n (Clopper and Pearson 1934).

    Assumes independent attempts with one rate and an n fixed in advance. No attempt: [0, 1].
    Raises CountError for impossible counts.
    """
    _check(k, n, level)
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(k, n - k + 1, tail)) if k else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return Interval(low, high, level, "clopper-pearson")


def upper_bound(k: int, n: int, level: float = 0.95) -> Interval:
    """One-sided Clopper-Pearson bound, for claims of the form "below x". Low is 0."""
    _check(k, n, level)
    from scipy.special import betaincinv

    high = float(betaincinv(k + 1, n - k, level)) if k < n else 1.0
    return Interval(0.0, high, level, "clopper-pearson, one-sided")


def _check(k: int, n: int, level: float) -> None:
    if not 0 <= k <= n:
        raise CountError(f"{k} failures of {n} attempts cannot be")
    if not 0 < level < 1:
        raise CountError(f"a confidence level of {level} cannot be; give one between 0 and 1")


def confidence_sequence(k: int, n: int, level: float = 0.95) -> Interval:
    """Anytime-valid interval: the beta-binomial mixture with Beta(1/2, 1/2) (Robbins 1970).

    Valid at every look at once, by Ville's inequality, so also where a run stopped early. Keeps
    the rates p with log B(k + 1/2, n - k + 1/2) - log B(1/2, 1/2) - log p^k (1-p)^(n-k) below
    log 1/alpha. Assumes independent attempts with one rate.
    """
    _check(k, n, level)
    method = "beta-binomial confidence sequence"
    if n == 0:
        return Interval(0.0, 1.0, level, method)
    limit = math.log(1 / (1 - level))
    mixture = _log_beta(k + 0.5, n - k + 0.5) - _log_beta(0.5, 0.5)

    def excess(p: float) -> float:
        likelihood = (k * math.log(p) if k else 0.0) + ((n - k) * math.log1p(-p) if n > k else 0.0)
        return mixture - likelihood - limit

    mode = k / n
    low = _crossing(excess, 0.0, mode) if k else 0.0
    high = _crossing(excess, 1.0, mode) if k < n else 1.0
    return Interval(low, high, level, method)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _crossing(excess: Callable[[float], float], outside: float, inside: float) -> float:
    """Bisect to where `excess` changes sign between a rejected and a kept rate."""
    for _ in range(100):
        middle = (outside + inside) / 2
        if middle in (outside, inside):
            break
        if excess(middle) > 0:
            outside = middle
        else:
            inside = middle
    return outside

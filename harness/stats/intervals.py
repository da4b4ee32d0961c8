"""Intervals for one failure rate. Pure; every function names its method, source and assumptions."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from harness.core.errors import UsageError


class StatsError(UsageError, ValueError):
    """A number from which nothing can be computed; the message says which and why."""


class CountError(StatsError):
    """Counts or levels that cannot be: more failures than attempts, a level outside (0, 1)."""


class RateError(StatsError):
    """A rate, power or effect that no plan can be made for."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds of a rate, with the confidence level and the method that made them."""

    low: float
    high: float
    level: float
    method: str


def compute_clopper_pearson(k: int, n: int, level: float = 0.95) -> Interval:
    """Exact two-sided interval for k failures of n (Clopper and Pearson 1934).

    Assumes independent attempts with one rate and an n fixed in advance. No attempt: [0, 1].
    Raises CountError for impossible counts.
    """
    check_counts(k, n, level)
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(k, n - k + 1, tail)) if k else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return Interval(low, high, level, "clopper-pearson")


def compute_upper_bound(k: int, n: int, level: float = 0.95) -> Interval:
    """One-sided Clopper-Pearson bound, for claims of the form "below x". Low is 0.

    Same source and assumptions as `compute_clopper_pearson`; with k = 0 it is 1 - alpha^(1/n).
    """
    check_counts(k, n, level)
    from scipy.special import betaincinv

    high = float(betaincinv(k + 1, n - k, level)) if k < n else 1.0
    return Interval(0.0, high, level, "clopper-pearson, one-sided")


def compute_lower_bound(k: int, n: int, level: float = 0.95) -> Interval:
    """One-sided Clopper-Pearson bound, for claims of the form "above x". High is 1.

    Same source and assumptions as `compute_clopper_pearson`.
    """
    low = 1 - compute_upper_bound(n - k, n, level).high
    return Interval(low, 1.0, level, "clopper-pearson, one-sided")


def compute_confidence_sequence(k: int, n: int, level: float = 0.95) -> Interval:
    """Anytime-valid interval: the beta-binomial mixture with Beta(1/2, 1/2) (Robbins 1970).

    Valid at every look at once, by Ville's inequality, so also where a run stopped early. Keeps
    the rates p with log B(k + 1/2, n - k + 1/2) - log B(1/2, 1/2) - log p^k (1-p)^(n-k) below
    log 1/alpha. Assumes independent attempts with one rate, looked at in the order of their
    lease: attempts taken as they finish are not such a sequence where failures take longer.
    """
    check_counts(k, n, level)
    method = "beta-binomial confidence sequence"
    if n == 0:
        return Interval(0.0, 1.0, level, method)

    def excluded(p: float) -> bool:
        return compute_log_e(p, k, n) >= math.log(1 / (1 - level))

    low = _crossing(excluded, 0.0, k / n) if k else 0.0
    high = _crossing(excluded, 1.0, k / n) if k < n else 1.0
    return Interval(low, high, level, method)


def compute_log_e(rate: float, k: int, n: int) -> float:
    """Return the log e-value against one rate: the mixture over the likelihood of the rate."""
    impossible = (k and rate <= 0) or (k < n and rate >= 1)
    if impossible:
        return math.inf
    likelihood = (k * math.log(rate) if k else 0.0) + ((n - k) * math.log1p(-rate) if n > k else 0)
    return _log_beta(k + 0.5, n - k + 0.5) - _log_beta(0.5, 0.5) - likelihood


def compute_worst_case(
    failed: int,
    passed: int,
    unknown: int,
    level: float = 0.95,
    bound: Callable[[int, int, float], Interval] = compute_clopper_pearson,
) -> Interval:
    """Interval that holds whatever the `unknown` attempts would have been (Manski 1989).

    Low has every infrastructure or censored attempt pass, high has every one fail; `bound` is the
    interval in force. Assumes nothing about why an attempt is unknown.
    """
    if min(failed, passed, unknown) < 0:
        raise CountError(f"{failed} failed, {passed} passed, {unknown} unknown cannot be counts")
    n = failed + passed + unknown
    lowest, highest = bound(failed, n, level), bound(failed + unknown, n, level)
    return Interval(lowest.low, highest.high, level, f"{lowest.method}, worst case")


def attempts_needed_below(rate: float, level: float = 0.95) -> int:
    """Return the clean attempts after which `compute_upper_bound` is at most `rate`.

    ceil(ln alpha / ln(1 - rate)).

    Exact for zero failures at an n fixed in advance (one-sided Clopper-Pearson).
    """
    return attempts_needed_to_see(rate, level)


def attempts_needed_to_see(rate: float, power: float) -> int:
    """Attempts that show at least one failure with probability `power`, at this failure rate.

    Geometric distribution: ceil(ln(1 - power) / ln(1 - rate)). Assumes independent attempts.
    """
    check_rate(rate, "a failure rate")
    if rate == 0:
        raise RateError("no number of attempts shows, or excludes, a failure rate of 0")
    if not 0 < power < 1:
        raise RateError(f"a power or level of {power} cannot be; give one between 0 and 1")
    return 1 if rate == 1 else math.ceil(math.log(1 - power) / math.log1p(-rate))


def attempts_needed_below_anytime(rate: float, level: float = 0.95) -> int:
    """Return the clean attempts after which `compute_confidence_sequence` lies below `rate`."""
    fewest = attempts_needed_below(rate, level)
    most = fewest
    while compute_confidence_sequence(0, most, level).high >= rate:
        most *= 2
    while fewest < most:
        middle = (fewest + most) // 2
        if compute_confidence_sequence(0, middle, level).high < rate:
            most = middle
        else:
            fewest = middle + 1
    return most


def check_counts(k: int, n: int, level: float = 0.95) -> None:
    """Raises CountError unless k of n is possible and the level lies inside (0, 1)."""
    if not 0 <= k <= n:
        raise CountError(f"{k} failures of {n} attempts cannot be")
    if not 0 < level < 1:
        raise CountError(f"a confidence level of {level} cannot be; give one between 0 and 1")


def check_rate(rate: float, what: str = "a rate") -> None:
    """Raises RateError unless the rate lies in [0, 1]; a NaN does not."""
    if not 0 <= rate <= 1:
        raise RateError(f"{what} of {rate} cannot be; give one from 0 to 1")


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _crossing(excluded: Callable[[float], bool], outside: float, inside: float) -> float:
    """Bisect to the end of the kept rates, between an excluded rate and a kept one."""
    for _ in range(100):
        middle = (outside + inside) / 2
        if middle in (outside, inside):
            break
        if excluded(middle):
            outside = middle
        else:
            inside = middle
    return outside

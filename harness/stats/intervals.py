"""Intervals for one failure rate. Pure; every function names its method, source and assumptions."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from harness.core.errors import UsageError
from harness.stats.distributions import compute_beta_cdf, compute_beta_quantile, compute_log_beta


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


def compute_clopper_pearson(k: float, n: float, level: float = 0.95) -> Interval:
    """Exact two-sided interval for k failures of n (Clopper and Pearson 1934).

    Assumes independent attempts with one rate and an n fixed in advance. No attempt: [0, 1].
    Counts may be effective ones, hence no whole numbers.
    Raises CountError for impossible counts.
    """
    check_counts(k, n, level)
    tail = (1 - level) / 2
    low = compute_beta_quantile(k, n - k + 1, tail) if k else 0.0
    high = compute_beta_quantile(k + 1, n - k, 1 - tail) if k < n else 1.0
    return Interval(low, high, level, "clopper-pearson")


def compute_upper_bound(k: float, n: float, level: float = 0.95) -> Interval:
    """One-sided Clopper-Pearson bound, for claims of the form "below x". Low is 0.

    Same source and assumptions as `compute_clopper_pearson`; with k = 0 it is 1 - alpha^(1/n).
    """
    check_counts(k, n, level)
    high = compute_beta_quantile(k + 1, n - k, level) if k < n else 1.0
    return Interval(0.0, high, level, "clopper-pearson, one-sided")


def compute_lower_bound(k: float, n: float, level: float = 0.95) -> Interval:
    """One-sided Clopper-Pearson bound, for claims of the form "above x". High is 1.

    Same source and assumptions as `compute_clopper_pearson`.
    """
    low = 1 - compute_upper_bound(n - k, n, level).high
    return Interval(low, 1.0, level, "clopper-pearson, one-sided")


def compute_confidence_sequence(k: float, n: float, level: float = 0.95) -> Interval:
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

    def is_excluded(p: float) -> bool:
        return compute_log_e(p, k, n) >= math.log(1 / (1 - level))

    low = _find_crossing(is_excluded, 0.0, k / n) if k else 0.0
    high = _find_crossing(is_excluded, 1.0, k / n) if k < n else 1.0
    return Interval(low, high, level, method)


def compute_log_e(rate: float, k: float, n: float) -> float:
    """Return the log e-value against one rate: the mixture over the likelihood of the rate."""
    impossible = (k and rate <= 0) or (k < n and rate >= 1)
    if impossible:
        return math.inf
    likelihood = (k * math.log(rate) if k else 0.0) + ((n - k) * math.log1p(-rate) if n > k else 0)
    return compute_log_beta(k + 0.5, n - k + 0.5) - compute_log_beta(0.5, 0.5) - likelihood


def compute_log_e_below(rate: float, k: int, n: int) -> float:
    """Return the log e-value for "the failure rate lies below `rate`" against all other rates.

    A mixture over alternatives below the rate, half its weight on a rate of 0, half on
    Beta(1/2, 1/2) truncated at the rate, over the likelihood of the rate: its mean falls with the
    true rate, hence is at most 1 from the rate on.
    """
    mixed = 0.5 * (k == 0) + 0.5 * _average_likelihood(rate, k, n)
    return _take_log_ratio(mixed, rate, k, n)


def compute_log_e_above(rate: float, k: int, n: int) -> float:
    """Return the log e-value for "the failure rate lies above `rate`" against all other rates.

    A mixture over Beta(1/2, 1/2) truncated to the rates above.
    """
    return _take_log_ratio(_average_likelihood(1 - rate, n - k, n), rate, k, n)


def _average_likelihood(limit: float, k: int, n: int) -> float:
    """Return the likelihood of k of n in order, averaged over Beta(1/2, 1/2) below the limit."""
    share = compute_beta_cdf(k + 0.5, n - k + 0.5, limit) / compute_beta_cdf(0.5, 0.5, limit)
    whole = compute_log_beta(k + 0.5, n - k + 0.5) - compute_log_beta(0.5, 0.5)
    return share * math.exp(whole)


def _take_log_ratio(mixed: float, rate: float, k: int, n: int) -> float:
    if mixed <= 0:
        return -math.inf
    if (k and rate <= 0) or (k < n and rate >= 1):
        return math.inf
    fails = k * math.log(rate) if k else 0.0
    return math.log(mixed) - fails - ((n - k) * math.log1p(-rate) if n > k else 0.0)


def compute_upper_sequence(k: int, n: int, level: float = 0.95) -> Interval:
    """Return the one-sided bound that `compute_log_e_below` gives at every look. Low is 0."""
    check_counts(k, n, level)
    limit = math.log(1 / (1 - level))

    def is_excluded(rate: float) -> bool:
        return rate == 1 or compute_log_e_below(rate, k, n) >= limit

    high = _find_crossing(is_excluded, 1.0, k / n) if k < n else 1.0
    return Interval(0.0, high, level, "truncated beta-binomial sequence, one-sided")


def compute_worst_case(
    failed: int,
    passed: int,
    unknown: int,
    level: float = 0.95,
    bound: Callable[[float, float, float], Interval] = compute_clopper_pearson,
) -> Interval:
    """Interval that holds whatever the `unknown` attempts would have been (Manski 1989).

    Low has every infrastructure or censored attempt pass, high has every one fail; `bound` is the
    interval in force. Assumes nothing about why an attempt is unknown.
    """
    if min(failed, passed, unknown) < 0:
        raise CountError(f"{failed} failed, {passed} passed, {unknown} unknown cannot be counts")
    n = failed + passed + unknown
    if not unknown:
        return bound(failed, n, level)
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


def attempts_needed_below_anytime(
    rate: float,
    level: float = 0.95,
    log_e: Callable[[float, int, int], float] = compute_log_e_below,
) -> int:
    """Return the clean attempts after which the e-value for "below `rate`" first decides."""
    most = fewest = attempts_needed_below(rate, level)
    limit = math.log(1 / (1 - level))
    while log_e(rate, 0, most) < limit:
        most *= 2
    while fewest < most:
        middle = (fewest + most) // 2
        fewest, most = (fewest, middle) if log_e(rate, 0, middle) >= limit else (middle + 1, most)
    return most


def check_counts(k: float, n: float, level: float = 0.95) -> None:
    """Raises CountError unless k of n is possible and the level lies inside (0, 1)."""
    if not 0 <= k <= n:
        raise CountError(f"{k} failures of {n} attempts cannot be")
    if not 0 < level < 1:
        raise CountError(f"a confidence level of {level} cannot be; give one between 0 and 1")


def check_rate(rate: float, what: str = "a rate") -> None:
    """Raises RateError unless the rate lies in [0, 1]; a NaN does not."""
    if not 0 <= rate <= 1:
        raise RateError(f"{what} of {rate} cannot be; give one from 0 to 1")


def _find_crossing(is_excluded: Callable[[float], bool], outside: float, inside: float) -> float:
    """Bisect to the end of the kept rates, between an is_excluded rate and a kept one."""
    for _ in range(100):
        middle = (outside + inside) / 2
        if middle in (outside, inside):
            break
        if is_excluded(middle):
            outside = middle
        else:
            inside = middle
    return outside

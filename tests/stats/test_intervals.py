"""Intervals of one rate, against published and independent values."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from harness.stats import intervals
from harness.stats.contrasts import compute_wilson
from harness.stats.intervals import CountError, RateError

EXACT = [
    (0, 1, 0.0, 0.9750),
    (0, 10, 0.0, 0.3085),
    (0, 20, 0.0, 0.1684),
    (0, 50, 0.0, 0.0711),
    (0, 100, 0.0, 0.0362),
    (1, 20, 0.0013, 0.2487),
    (1, 50, 0.0005, 0.1065),
    (2, 50, 0.0049, 0.1371),
    (5, 50, 0.0333, 0.2181),
    (7, 20, 0.1539, 0.5922),
    (10, 50, 0.1003, 0.3372),
    (25, 50, 0.3553, 0.6447),
    (81, 263, 0.2527, 0.3676),  # Newcombe 1998, as the next three
    (15, 148, 0.0578, 0.1617),
    (1, 29, 0.0009, 0.1776),
]
SCORE = [
    (0, 1, 0.0, 0.7935),
    (0, 10, 0.0, 0.2775),
    (0, 20, 0.0, 0.1611),
    (0, 50, 0.0, 0.0713),
    (0, 100, 0.0, 0.0370),
    (1, 20, 0.0089, 0.2361),
    (1, 50, 0.0035, 0.1050),
    (2, 50, 0.0110, 0.1346),
    (5, 50, 0.0435, 0.2136),
    (7, 20, 0.1812, 0.5671),
    (10, 50, 0.1124, 0.3304),
    (25, 50, 0.3664, 0.6336),
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (1, 29, 0.0061, 0.1718),
]
ANYTIME = [
    (0, 1, 0.0, 0.9750),
    (0, 10, 0.0, 0.3770),
    (0, 20, 0.0, 0.2240),
    (0, 50, 0.0, 0.1046),
    (0, 100, 0.0, 0.0570),
    (1, 50, 0.0, 0.1551),
    (2, 50, 0.0011, 0.1933),
    (5, 50, 0.0158, 0.2865),
    (7, 20, 0.0966, 0.6855),
    (10, 50, 0.0634, 0.4142),
    (25, 50, 0.2837, 0.7163),
]
COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(("k", "n", "low", "high"), EXACT)
def test_clopper_pearson_has_its_published_values(k: int, n: int, low: float, high: float) -> None:
    found = intervals.compute_clopper_pearson(k, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(("k", "n", "low", "high"), SCORE)
def test_wilson_has_its_published_values(k: int, n: int, low: float, high: float) -> None:
    assert compute_wilson(k, n) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(("k", "n", "low", "high"), ANYTIME)
def test_the_sequence_has_its_reference_values(k: int, n: int, low: float, high: float) -> None:
    found = intervals.compute_confidence_sequence(k, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


@given(COUNTS, st.floats(0.5, 0.999))
@settings(max_examples=60, deadline=None)
def test_clopper_pearson_agrees_with_scipy(counts: tuple[int, int], level: float) -> None:
    k, n = counts
    found = intervals.compute_clopper_pearson(k, n, level)
    expected = binomtest(k, n).proportion_ci(level, "exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    one_sided = binomtest(k, n, alternative="less").proportion_ci(level, "exact")
    assert intervals.compute_upper_bound(k, n, level).high == pytest.approx(
        one_sided.high, abs=1e-9
    )
    one_sided = binomtest(k, n, alternative="greater").proportion_ci(level, "exact")
    assert intervals.compute_lower_bound(k, n, level).low == pytest.approx(one_sided.low, abs=1e-9)


@given(COUNTS)
@settings(deadline=None)
def test_every_interval_holds_the_rate_seen_and_mirrors(counts: tuple[int, int]) -> None:
    k, n = counts
    for method in (intervals.compute_clopper_pearson, intervals.compute_confidence_sequence):
        found, mirrored = method(k, n), method(n - k, n)
        assert 0 <= found.low <= k / n <= found.high <= 1
        assert (found.low, found.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low))


@given(COUNTS)
@settings(deadline=None)
def test_the_sequence_is_wider_than_the_exact_interval(counts: tuple[int, int]) -> None:
    exact, anytime = (
        intervals.compute_clopper_pearson(*counts),
        intervals.compute_confidence_sequence(*counts),
    )
    assert anytime.low <= exact.low + 1e-9
    assert anytime.high >= exact.high - 1e-9


def test_the_sequence_errs_seldom_over_all_looks_by_exact_enumeration() -> None:
    """Sum over all paths of 60 attempts of the chance that some look excluded the rate."""
    for rate in (0.02, 0.2, 0.5):
        alive, left_out = {0: 1.0}, 0.0
        for n in range(1, 61):
            ahead: dict[int, float] = {}
            for k, chance in alive.items():
                for fails, share in ((1, rate), (0, 1 - rate)):
                    if intervals.compute_log_e(rate, k + fails, n) >= math.log(20):
                        left_out += chance * share
                    else:
                        ahead[k + fails] = ahead.get(k + fails, 0.0) + chance * share
            alive = ahead
        assert left_out <= 0.05


def test_no_attempt_leaves_every_rate_possible() -> None:
    for method in (intervals.compute_clopper_pearson, intervals.compute_confidence_sequence):
        found = method(0, 0)
        assert (found.low, found.high) == (0.0, 1.0)
        assert found.method
    assert intervals.compute_upper_bound(0, 0).high == 1.0


def test_zero_failures_in_fifty_bound_the_rate_below_5_82_percent() -> None:
    assert intervals.compute_upper_bound(0, 50).high == pytest.approx(0.0582, abs=5e-5)


@pytest.mark.parametrize(
    ("rate", "ordinary", "strict"),
    [(0.2, 14, 21), (0.1, 29, 44), (0.05, 59, 90), (0.02, 149, 228), (0.01, 299, 459)],
)
def test_attempts_that_show_a_failure(rate: float, ordinary: int, strict: int) -> None:
    assert intervals.attempts_needed_to_see(rate, 0.95) == ordinary
    assert intervals.attempts_needed_to_see(rate, 0.99) == strict
    assert intervals.attempts_needed_below(rate) == ordinary


@pytest.mark.parametrize(
    ("rate", "anytime", "two_sided"),
    [(0.2, 24, 17), (0.1, 53, 36), (0.05, 116, 72), (0.02, 320, 183)],
)
def test_clean_attempts_that_prove_a_bound(rate: float, anytime: int, two_sided: int) -> None:
    assert intervals.attempts_needed_below_anytime(rate, log_e=intervals.compute_log_e) == anytime
    # 183 is 97.5 % one-sided; the exact number rounds to 183 as well.
    assert intervals.attempts_needed_below(rate, 0.975) == two_sided


@given(st.floats(0.005, 0.95))
@settings(deadline=None)
def test_the_attempts_planned_prove_the_bound_and_one_fewer_does_not(rate: float) -> None:
    n = intervals.attempts_needed_below(rate)
    assert intervals.compute_upper_bound(0, n).high <= rate + 1e-12
    assert intervals.compute_upper_bound(0, n - 1).high > rate


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 10), st.integers(0, 10))
@settings(deadline=None)
def test_worst_cases_hold_whatever_the_unknown_were(
    failed: int, passed: int, unknown: int, failing: int
) -> None:
    would_fail = min(failing, unknown)
    worst = intervals.compute_worst_case(failed, passed, unknown)
    truth = intervals.compute_clopper_pearson(failed + would_fail, failed + passed + unknown)
    assert worst.low <= truth.low
    assert worst.high >= truth.high


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3), (0, -1)])
def test_impossible_counts_are_named(k: int, n: int) -> None:
    for method in (intervals.compute_clopper_pearson, intervals.compute_confidence_sequence):
        with pytest.raises(CountError, match=f"{k} failures of {n}"):
            method(k, n)
    with pytest.raises(CountError, match="cannot be counts"):
        intervals.compute_worst_case(1, 2, -1)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, math.nan])
def test_impossible_levels_are_named(level: float) -> None:
    with pytest.raises(CountError, match="confidence level"):
        intervals.compute_upper_bound(1, 3, level)


@pytest.mark.parametrize("rate", [-0.1, 0.0, 1.1, math.nan, math.inf])
def test_impossible_rates_are_named(rate: float) -> None:
    with pytest.raises(RateError, match="rate of"):
        intervals.attempts_needed_below(rate)
    with pytest.raises(ValueError, match="rate of"):
        intervals.attempts_needed_below_anytime(rate)


def test_a_power_of_one_is_refused() -> None:
    with pytest.raises(RateError, match=r"power or level of 1\.0"):
        intervals.attempts_needed_to_see(0.2, 1.0)

"""Intervals against published and recomputed reference values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.intervals import CountError, clopper_pearson, confidence_sequence, upper_bound

COUNTS = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (0, 1, 0, 0.9750),
        (0, 10, 0, 0.3085),
        (0, 20, 0, 0.1684),
        (0, 50, 0, 0.0711),
        (0, 100, 0, 0.0362),
        (1, 20, 0.0013, 0.2487),
        (1, 50, 0.0005, 0.1065),
        (2, 50, 0.0049, 0.1371),
        (5, 50, 0.0333, 0.2181),
        (7, 20, 0.1539, 0.5922),
        (10, 50, 0.1003, 0.3372),
        (25, 50, 0.3553, 0.6447),
        # Newcombe 1998
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (1, 29, 0.0009, 0.1776),
    ],
)
def test_clopper_pearson_has_the_reference_values(k: int, n: int, low: float, high: float) -> None:
    found = clopper_pearson(k, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5.1e-5)


@given(COUNTS)
def test_clopper_pearson_is_scipys(counts: tuple[int, int]) -> None:
    from scipy.stats import binomtest

    k, n = counts
    wanted = binomtest(k, n).proportion_ci(method="exact")
    found = clopper_pearson(k, n)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (0, 1, 0, 0.9750),
        (0, 10, 0, 0.3770),
        (0, 20, 0, 0.2240),
        (0, 50, 0, 0.1046),
        (0, 100, 0, 0.0570),
        (1, 50, 0, 0.1551),
        (2, 50, 0.0011, 0.1933),
        (5, 50, 0.0158, 0.2865),
        (7, 20, 0.0966, 0.6855),
        (10, 50, 0.0634, 0.4142),
        (25, 50, 0.2837, 0.7163),
    ],
)
def test_the_sequence_has_the_reference_values(k: int, n: int, low: float, high: float) -> None:
    found = confidence_sequence(k, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5.1e-5)


@given(COUNTS)
def test_looking_at_any_time_costs_width_from_the_second_attempt_on(
    counts: tuple[int, int],
) -> None:
    k, n = counts
    fixed, anytime = clopper_pearson(k, n), confidence_sequence(k, n)
    if n > 2:
        assert anytime.high - anytime.low >= fixed.high - fixed.low - 1e-9
    assert 0 <= anytime.low <= k / n <= anytime.high <= 1


@pytest.mark.parametrize(("n", "high"), [(1, 0.95), (10, 0.259), (30, 0.095), (150, 0.0198)])
def test_clean_attempts_bound_the_rate_one_sided(n: int, high: float) -> None:
    assert upper_bound(0, n).high == pytest.approx(high, abs=5e-4)
    assert upper_bound(0, n).high == pytest.approx(1 - 0.05 ** (1 / n))


def test_no_attempt_says_nothing() -> None:
    for method in (clopper_pearson, upper_bound, confidence_sequence):
        assert (method(0, 0).low, method(0, 0).high) == (0, 1)


@pytest.mark.parametrize(("k", "n", "level"), [(2, 1, 0.95), (-1, 5, 0.95), (0, 5, 1), (0, 5, 0)])
def test_impossible_counts_and_levels_are_refused(k: int, n: int, level: float) -> None:
    for method in (clopper_pearson, upper_bound, confidence_sequence):
        with pytest.raises(CountError):
            method(k, n, level)

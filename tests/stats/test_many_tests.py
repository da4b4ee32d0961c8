"""Hundreds of tests: Benjamini-Hochberg over those that could be found at all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from harness.stats.exact_tests import compute_boschloo_p
from harness.stats.many_tests import Counts, find_differing

COUNTS = st.tuples(st.integers(0, 9), st.just(9), st.integers(0, 9), st.just(9))


def test_tests_that_never_failed_cost_nothing() -> None:
    true, silent = (8, 50, 0, 50), (0, 50, 0, 50)
    found = find_differing([true, *[silent] * 299])
    assert list(found.differ) == [0]
    assert found.testable == 1
    assert found.differ[0] == pytest.approx(compute_boschloo_p(8, 50, 0, 50))
    assert find_differing([silent] * 9).differ == find_differing([]).differ == {}
    assert find_differing([(0, 0, 5, 9)]).differ == {}


@settings(deadline=None, max_examples=12)
@given(st.lists(COUNTS, min_size=1, max_size=12))
def test_what_is_found_is_found_by_the_published_steps(tests: list[Counts]) -> None:
    found = find_differing(tests)
    ps = [compute_boschloo_p(*test) for test in tests]
    whole = false_discovery_control(ps)
    # Leaving tests out can only find more, and what it finds is small by itself.
    assert {i for i, p in enumerate(whole) if p <= 0.05} <= set(found.differ)
    assert all(ps[i] <= p + 1e-9 <= 0.05 + 1e-9 for i, p in found.differ.items())
    assert len(found.differ) <= found.testable <= len(tests)


def test_of_ten_true_among_three_hundred_nearly_all_are_found_and_few_false() -> None:
    """50 attempts a cell, 0.2 against 0; the others fail at 0.002."""
    rng = np.random.default_rng(3)
    true_found = false_found = 0
    for _ in range(30):
        true = [(int(k), 50, 0, 50) for k in rng.binomial(50, 0.2, 10)]
        rest = [(int(a), 50, int(b), 50) for a, b in rng.binomial(50, 0.002, (290, 2))]
        found = find_differing(true + rest).differ
        true_found += sum(i < 10 for i in found)
        false_found += sum(i >= 10 for i in found)
    assert true_found >= 0.93 * 300
    assert false_found <= 0.05 * true_found

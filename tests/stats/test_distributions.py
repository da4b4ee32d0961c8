"""The closed forms that stand in for SciPy, against SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betainc, betaincinv
from scipy.stats import binom, chi2, hypergeom

from harness.stats.distributions import (
    compute_beta_cdf,
    compute_beta_quantile,
    compute_binomial_pmf,
    compute_chi_square_tail,
    compute_hypergeometric_pmf,
)

SHAPES = st.floats(0.5, 5000)


@given(SHAPES, SHAPES, st.floats(0, 1))
@settings(max_examples=300, deadline=None)
def test_the_beta_distribution_is_scipys(a: float, b: float, x: float) -> None:
    assert compute_beta_cdf(a, b, x) == pytest.approx(betainc(a, b, x), abs=1e-9)


@given(SHAPES, SHAPES, st.floats(0.001, 0.999))
@settings(max_examples=100, deadline=None)
def test_beta_quantiles_are_scipys(a: float, b: float, share: float) -> None:
    assert compute_beta_quantile(a, b, share) == pytest.approx(betaincinv(a, b, share), abs=1e-9)


@given(st.integers(1, 60), st.floats(0, 300))
@settings(max_examples=200, deadline=None)
def test_the_chi_square_tail_is_scipys(freedom: int, x: float) -> None:
    assert compute_chi_square_tail(freedom, x) == pytest.approx(chi2.sf(x, freedom), abs=1e-12)


@given(st.integers(1, 900), st.floats(1e-6, 1))
@settings(max_examples=60, deadline=None)
def test_binomial_chances_are_scipys(n: int, rate: float) -> None:
    found = compute_binomial_pmf(n, [rate])[0]
    assert np.allclose(found, binom.pmf(np.arange(n + 1), n, rate), atol=1e-11, rtol=1e-8)


@given(st.integers(1, 200), st.integers(1, 200), st.data())
@settings(max_examples=60, deadline=None)
def test_hypergeometric_chances_are_scipys(first: int, second: int, data: st.DataObject) -> None:
    total = data.draw(st.integers(0, first + second))
    low, found = compute_hypergeometric_pmf(first, second, total)
    k = np.arange(low, low + len(found))
    assert np.allclose(found, hypergeom.pmf(k, first + second, first, total), atol=1e-11)
    assert found.sum() == pytest.approx(1)

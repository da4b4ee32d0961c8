"""The size that no longer fits: from lines that fit what was measured, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.capture import sizes_up_to
from harness.stats.capacity import REACH, predict

SIZES = (5, 16, 64, 128)


@given(st.integers(0, 10**10), st.integers(1, 10**7), st.integers(1, REACH * SIZES[-1] - 2))
def test_bytes_that_grow_with_the_largest_size(base: int, slope: int, limit: int) -> None:
    held = {size: base + slope * size for size in SIZES}
    prediction = predict(held, base + slope * limit + slope // 2)
    assert prediction.fits is not None
    # The line is fitted in floating point: its end may round either way.
    assert abs(prediction.fits - limit) <= 1 + base // slope // 10**12


@pytest.mark.parametrize(("limit", "at_least"), [(255, False), (256, True), (10**5, True)])
def test_no_line_is_trusted_beyond_its_reach(limit: int, at_least: bool) -> None:
    prediction = predict({size: 1000 + 10 * size for size in SIZES}, 1000 + 10 * limit + 5)
    assert (prediction.fits, prediction.at_least) == (min(limit, 256), at_least)


def test_bytes_that_grow_with_the_sum_of_sizes() -> None:
    held = {size: 1000 + 7 * sum(sizes_up_to(size)) for size in SIZES}
    prediction = predict(held, 1000 + 7 * sum(sizes_up_to(200)) + 3)
    assert prediction.fits == 200
    assert prediction.line is not None
    assert prediction.line.model == "sum of sizes"


@pytest.mark.parametrize(
    ("held", "why"),
    [
        ({}, "0 fitted in memory"),
        ({5: 10, 16: 20}, "3 sizes or more are needed, 2 fitted"),
        ({5: 10, 16: 10, 64: 10}, "does not grow"),
        ({5: 30, 16: 20, 64: 10}, "does not grow"),
        ({5: 0, 16: 900, 64: 1000, 128: 1000}, "no line fits"),
    ],
)
def test_what_supports_no_prediction_is_refused(held: dict[int, int], why: str) -> None:
    prediction = predict(held, 10**6)
    assert prediction.fits is None
    assert why in str(prediction.refused)


def test_a_memory_below_the_smallest_batch_fits_none() -> None:
    assert predict({size: 1000 + size for size in SIZES}, 1000).fits == 0

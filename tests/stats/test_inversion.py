"""The interval of a difference agrees with the test that decided it, and covers the truth."""

import numpy as np
import pytest

from harness.core.decision_rule import Alternative
from harness.core.plan import EXPECTED_RATES
from harness.stats.boundary import Design, calibrate_threshold, compute_error, compute_error_at
from harness.stats.inversion import OPEN_ENDED, invert_test, list_atoms
from harness.stats.sequential import bound_difference_anytime, weigh_evidence

SIX_OF_25 = [(i in (3, 7, 11, 15, 19, 24), False) for i in range(25)]


@pytest.mark.parametrize(
    ("cap", "low", "high"), [(36, 0.044, 0.517), (60, 0.043, 0.522), (OPEN_ENDED, 0.016, 0.567)]
)
def test_six_of_25_against_none_has_its_reference_interval(
    cap: int, low: float, high: float
) -> None:
    found = invert_test(Design(cap, EXPECTED_RATES), SIX_OF_25, decided=True)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.002)
    wide = bound_difference_anytime(6, 25, 0, 25)
    assert found.high - found.low < 0.86 * (wide.high - wide.low)


def test_a_decided_difference_never_holds_the_other_sign_and_an_undecided_one_holds_zero() -> None:
    rng = np.random.default_rng(5)
    design = Design(30, EXPECTED_RATES)
    limit = calibrate_threshold(design, 0.05)
    decided = 0
    for _ in range(12):
        pairs = [(bool(a), bool(b)) for a, b in rng.random((30, 2)) < (0.3, 0.02)]
        arm, reference = zip(*pairs, strict=True)
        e = weigh_evidence(arm, reference).e
        found = invert_test(design, pairs, decided=e >= limit)
        assert found.low <= np.mean(arm) - np.mean(reference) <= found.high
        assert (found.low >= 0) == (e >= limit)
        decided += e >= limit
    assert decided > 0


def test_a_factor_expects_at_most_one_at_any_rates_with_its_difference() -> None:
    for difference in (-0.3, -0.05, 0.0, 0.1, 0.4):
        for side in list_atoms(EXPECTED_RATES, difference):
            assert sum(atom.weight for atom in side) == pytest.approx(1)
            for rate in np.linspace(max(0, difference), min(1, 1 + difference), 21):
                other = rate - difference
                for atom in side:
                    arm = rate * atom.fails + (1 - rate) * atom.passes
                    reference = other * atom.other_fails + (1 - other) * atom.other_passes
                    assert arm * reference <= 1 + 1e-6


def test_the_exact_error_at_no_difference_is_that_of_the_test() -> None:
    from harness.stats.boundary import tabulate_e

    design = Design(20, EXPECTED_RATES)
    found = compute_error_at(tabulate_e(design), 8.0, 0.0)
    assert found == pytest.approx(compute_error(design, 8.0), rel=0.01)


def test_a_stated_direction_bounds_one_side() -> None:
    more = invert_test(Design(27, EXPECTED_RATES, Alternative.MORE), SIX_OF_25, decided=True)
    assert more.high == 1.0
    assert more.low > 0
    less = invert_test(Design(27, EXPECTED_RATES, Alternative.LESS), SIX_OF_25, decided=False)
    assert less.low == -1.0


def test_no_block_bounds_nothing() -> None:
    found = invert_test(Design(30, EXPECTED_RATES), [], decided=False)
    assert (found.low, found.high) == (-1.0, 1.0)

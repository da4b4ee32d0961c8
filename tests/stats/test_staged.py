"""Two cells compared at planned looks: exact tails, and an error that counts all looks."""

import pytest
from scipy.stats import fisher_exact

from harness.stats.intervals import CountError
from harness.stats.staged import StagedPlan, calibrate_level, compute_error, compute_tail


@pytest.mark.parametrize(("k", "n", "j", "m"), [(5, 9, 0, 9), (3, 7, 2, 20), (0, 5, 3, 5)])
def test_the_tail_is_fishers(k: int, n: int, j: int, m: int) -> None:
    expected = fisher_exact([[k, n - k], [j, m - j]], alternative="greater").pvalue
    assert compute_tail(k, n, j, m) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.05, 0.02, 0.0025])
@pytest.mark.parametrize("plan", [StagedPlan(3, 6), StagedPlan(5, 6), StagedPlan(1, 18)])
def test_all_looks_together_are_wrong_as_seldom_as_was_asked(
    plan: StagedPlan, alpha: float
) -> None:
    level = calibrate_level(plan, alpha)
    assert compute_error(plan, level) <= alpha
    assert level >= alpha / plan.looks


def test_the_level_itself_at_each_of_six_looks_is_wrong_more_often() -> None:
    assert compute_error(StagedPlan(10, 6), 0.05) == pytest.approx(0.0849, abs=1e-4)
    assert calibrate_level(StagedPlan(10, 6), 0.05) == pytest.approx(0.02864, abs=1e-4)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(CountError):
        compute_tail(5, 3, 0, 3)

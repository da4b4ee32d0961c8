"""Power and plans, against published exact power and independent computations."""

import math

import numpy as np
import pytest
from scipy.stats import boschloo_exact, fisher_exact

from harness.core.decision_rule import FIRST_RULE, Alternative
from harness.stats.attempts_needed import (
    attempts_needed_for_gate,
    attempts_needed_more,
    attempts_needed_until_decided,
    compute_device_hours,
    list_shortfalls,
    simulate_budget,
)
from harness.stats.exact_tests import build_boschloo_region
from harness.stats.intervals import RateError
from harness.stats.planned import PlannedContrast, Question
from harness.stats.power import (
    attempts_needed_fixed,
    compute_power,
    find_detectable_difference,
)
from harness.stats.sequential import Blocks

# n, rate, target, exact power of Fisher's two-sided test at 5 %: Boschloo's is never below it.
FISHER = [
    (10, 0.5, 0.0, 0.623),
    (10, 0.5, 0.1, 0.295),
    (10, 0.2, 0.0, 0.033),
    (20, 0.5, 0.0, 0.994),
    (20, 0.5, 0.1, 0.742),
    (20, 0.2, 0.0, 0.370),
    (20, 0.3, 0.1, 0.242),
    (50, 0.2, 0.0, 0.952),
    (50, 0.2, 0.01, 0.871),
    (50, 0.3, 0.1, 0.640),
    (50, 0.1, 0.0, 0.384),
    (50, 0.1, 0.01, 0.272),
    (50, 0.05, 0.0, 0.038),
    (100, 0.1, 0.0, 0.942),
    (100, 0.1, 0.01, 0.769),
    (100, 0.3, 0.1, 0.935),
    (100, 0.05, 0.0, 0.384),
    (200, 0.1, 0.01, 0.987),
    (200, 0.05, 0.0, 0.938),
]
#: Fisher's n per cell for 80 %, and Boschloo's.
N_PER_CELL = [
    (0.5, 0.0, 12, 10),
    (0.3, 0.0, 21, 21),
    (0.5, 0.1, 23, 20),
    (0.2, 0.0, 39, 33),
    (0.2, 0.01, 44, 38),
    (0.3, 0.1, 69, 63),
    (0.1, 0.0, 78, 66),
]
CONTRAST = PlannedContrast("a", "b", "a", "b")


def fisher_power(n: int, rate: float, target: float) -> float:
    """The exact power of Fisher's test, by going through every table."""
    counts = np.arange(n + 1)
    chances = [
        [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in counts] for p in (rate, target)
    ]
    return sum(
        chances[0][i] * chances[1][j]
        for i in range(n + 1)
        for j in range(n + 1)
        if fisher_exact([[i, j], [n - i, n - j]]).pvalue <= 0.05
    )


@pytest.mark.parametrize(("n", "rate", "target", "fisher"), FISHER)
def test_boschloos_power_is_at_least_fishers(
    n: int, rate: float, target: float, fisher: float
) -> None:
    assert fisher - 6e-4 <= compute_power(n, rate, target) <= 1


def test_fishers_published_power_is_what_every_table_gives() -> None:
    assert fisher_power(10, 0.5, 0.1) == pytest.approx(0.295, abs=6e-4)
    assert fisher_power(20, 0.2, 0.0) == pytest.approx(0.370, abs=6e-4)


@pytest.mark.parametrize(("rate", "target", "fisher", "boschloo"), N_PER_CELL)
def test_n_per_cell_is_boschloos_and_never_above_fishers(
    rate: float, target: float, fisher: int, boschloo: int
) -> None:
    plan = attempts_needed_fixed(rate, target)
    assert (plan.n, plan.test) == (boschloo, "Boschloo")
    assert plan.n <= fisher
    assert compute_power(plan.n, rate, target) >= 0.8 > compute_power(plan.n - 1, rate, target)
    assert attempts_needed_fixed(target, rate) == plan


@pytest.mark.parametrize("n", [4, 17, 50])
def test_the_rejection_region_is_scipys(n: int) -> None:
    region = build_boschloo_region(n)
    rng = np.random.default_rng(n)
    for i, j in rng.integers(0, n + 1, (40, 2)).tolist():
        if 0 < i + j < 2 * n:
            p = boschloo_exact([[i, j], [n - i, n - j]]).pvalue
            assert region[i, j] == (p <= 0.05), (i, j, p)


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 6])
def test_the_region_keeps_its_size_at_every_common_rate(alpha: float) -> None:
    region = build_boschloo_region(30, alpha)
    for rate in np.linspace(0.003, 0.997, 101):
        pmf = np.array([math.comb(30, k) * rate**k * (1 - rate) ** (30 - k) for k in range(31)])
        assert (pmf[:, None] * pmf)[region].sum() <= alpha * 1.001


def test_exact_power_reaches_a_thousand_and_is_at_least_fishers() -> None:
    assert compute_power(286, 0.05, 0.01) >= 0.8 > compute_power(285, 0.05, 0.01)
    assert compute_power(833, 0.05, 0.03) >= 0.5


def test_above_1000_the_plan_is_for_fishers_test() -> None:
    plan = attempts_needed_fixed(0.02, 0.01)
    assert plan.test == "Fisher"
    # Fleiss, Levin and Paik: with continuity correction, 2318 grows to 2515.
    assert plan.n == pytest.approx(2515, abs=3)


def test_the_smallest_number_is_found_where_power_is_a_sawtooth() -> None:
    assert attempts_needed_fixed(0.1, 0.01).n == 92
    assert compute_power(92, 0.1, 0.01) >= 0.8 > compute_power(99, 0.1, 0.01)


def test_more_contrasts_need_more_attempts() -> None:
    assert attempts_needed_fixed(0.2, 0.0, alpha=0.05 / 6).n > attempts_needed_fixed(0.2, 0.0).n


@pytest.mark.parametrize("pair", [(0.2, 0.2), (-0.1, 0.2), (0.2, 1.2), (math.nan, 0.1)])
def test_rates_that_cannot_be_planned_for_are_named(pair: tuple[float, float]) -> None:
    for plan in (attempts_needed_fixed, attempts_needed_until_decided):
        with pytest.raises(RateError, match="rate"):
            plan(*pair)


@pytest.mark.parametrize("wanted", [0.0, 1.0, 1.5, math.nan])
def test_a_power_that_cannot_be_reached_is_named(wanted: float) -> None:
    for plan in (attempts_needed_fixed, attempts_needed_until_decided):
        with pytest.raises(RateError, match="power of"):
            plan(0.2, 0.0, wanted)


def test_a_calibrated_plan_has_its_reference_cost() -> None:
    plan = attempts_needed_until_decided(0.2, 0.0)
    assert plan.cap == 36
    assert plan.expected == pytest.approx(22.0, abs=0.1)
    assert attempts_needed_until_decided(0.0, 0.2) == plan


def test_a_stated_direction_costs_less() -> None:
    plan = attempts_needed_until_decided(0.2, 0.0, alternative=Alternative.MORE)
    assert plan.cap <= 31
    assert plan.expected <= 18.5
    assert attempts_needed_until_decided(0.2, 0.0, alternative=Alternative.LESS) == plan


def test_an_open_ended_plan_costs_less_on_average_than_the_fixed_one() -> None:
    plan = simulate_budget(0.2, 0.0)
    assert plan.expected <= 0.9 * attempts_needed_fixed(0.2, 0.0).n
    assert plan.expected < plan.cap < plan.n90
    assert plan == simulate_budget(0.2, 0.0)


def test_a_larger_difference_than_planned_for_stops_sooner() -> None:
    assert simulate_budget(0.5, 0.0, expected=(0.2, 0.0)).expected <= 0.35 * 33


def test_a_difference_too_small_for_any_plan_is_refused() -> None:
    with pytest.raises(RateError, match="not decided within"):
        simulate_budget(0.2, 0.1999)


def test_more_blocks_are_needed_where_fewer_speak_for_it() -> None:
    assert attempts_needed_more(Blocks(3, 0, 1, 0)) < attempts_needed_more(Blocks(4, 0, 0, 0))
    assert attempts_needed_more(Blocks(3, 0, 1, 0)) == pytest.approx(33, abs=3)


def test_what_halves_would_have_shown() -> None:
    points = find_detectable_difference(20, 200, 10)
    assert points is not None
    assert 0.1 < points < 0.3
    assert find_detectable_difference(1, 2, 10) is None
    with pytest.raises(RateError, match="pooled rate"):
        find_detectable_difference(0, 10, 3)


def test_device_hours_count_every_device_of_an_attempt() -> None:
    assert compute_device_hours(100, 36, 2) == 2.0
    with pytest.raises(RateError, match="cannot be"):
        compute_device_hours(-1, 36)


def test_a_budget_that_cannot_decide_is_told_up_front() -> None:
    fixed = Question((CONTRAST,))
    assert list_shortfalls(fixed, 33) == []
    (warning,) = list_shortfalls(fixed, 10)
    assert "33" in warning
    gate = Question(gate=0.02, until_decided=True)
    assert list_shortfalls(gate, 164) == []
    assert "164" in list_shortfalls(gate, 50)[0]
    assert "149" in list_shortfalls(Question(gate=0.02), 50)[0]
    assert list_shortfalls(Question((CONTRAST,), until_decided=True), 20)


def test_a_stored_run_of_the_first_rules_needs_what_it_needed_then() -> None:
    first = Question(gate=0.02, until_decided=True, rule=FIRST_RULE)
    assert attempts_needed_for_gate(first) == 320

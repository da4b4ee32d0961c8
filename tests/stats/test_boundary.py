"""Calibrated boundaries: reference thresholds, exact error, power, futility, stored rules."""

import itertools
import math

import numpy as np
import pytest

from harness.core.decision_rule import FIRST_RULE, Alternative, DecisionRule
from harness.core.plan import EXPECTED_RATES
from harness.stats.boundary import (
    FUTILITY,
    LARGEST_CAP,
    Design,
    calibrate_threshold,
    choose_rule,
    compute_error,
    follow,
    tabulate_e,
)
from harness.stats.contrasts import Finding
from harness.stats.judge import CALIBRATED, is_settled, judge_question
from harness.stats.planned import CellOutcomes, PlannedContrast, Question
from harness.stats.sequential import Outcome, weigh_evidence

ORDER = PlannedContrast("d", "a", "descending", "ascending")

#: cap, alternative, threshold, power at 0.2 against 0 without futility, and mean blocks.
REFERENCE = [
    (33, Alternative.TWO_SIDED, 9.64, 0.818, 23.1),
    (38, Alternative.TWO_SIDED, 9.99, 0.902, 24.0),
    (27, Alternative.MORE, 9.62, 0.818, 18.4),
]


@pytest.mark.parametrize(("cap", "alternative", "limit", "power", "mean"), REFERENCE)
def test_thresholds_have_their_reference_values(
    cap: int, alternative: Alternative, limit: float, power: float, mean: float
) -> None:
    design = Design(cap, EXPECTED_RATES, alternative)
    found = calibrate_threshold(design, 0.05)
    assert found == pytest.approx(limit, abs=0.006)
    course = follow(design, DecisionRule(threshold=found, alternative=alternative), EXPECTED_RATES)
    assert course.power == pytest.approx(power, abs=0.001)
    assert course.mean == pytest.approx(mean, abs=0.1)


def test_futility_costs_power_and_saves_attempts() -> None:
    design = Design(36, EXPECTED_RATES)
    rule = choose_rule(design, 1)
    assert rule.futility == FUTILITY
    course = follow(design, rule, EXPECTED_RATES)
    assert course.power == pytest.approx(0.801, abs=0.001)
    assert course.mean == pytest.approx(22.05, abs=0.05)
    assert follow(design, rule, (0.1, 0.1)).mean < 18


@pytest.mark.parametrize("rate", [0.03, 0.1, 0.25, 0.5, 0.9, 0.99])
def test_the_error_is_exact_at_every_common_rate(rate: float) -> None:
    """Against the sum over all paths of six blocks."""
    design = Design(6, EXPECTED_RATES)
    crossing = 0.0
    for path in itertools.product(itertools.product((True, False), repeat=2), repeat=6):
        arm, reference = zip(*path, strict=True)
        chance = math.prod(rate if fails else 1 - rate for pair in path for fails in pair)
        crossing += chance * (weigh_evidence(arm, reference).e >= 3)
    course = follow(design, DecisionRule(threshold=3.0), (rate, rate))
    assert course.power == pytest.approx(crossing)
    assert crossing <= compute_error(design, 3.0) + 1e-12


@pytest.mark.parametrize("contrasts", [1, 6, 100])
def test_a_calibrated_threshold_keeps_the_error_and_is_below_the_open_ended_one(
    contrasts: int,
) -> None:
    design = Design(40, EXPECTED_RATES)
    rule = choose_rule(design, contrasts)
    assert rule.threshold is not None
    assert rule.threshold < contrasts / 0.05
    for rate in np.linspace(0.01, 0.99, 25):
        without_futility = DecisionRule(threshold=rule.threshold)
        assert follow(design, without_futility, (rate, rate)).power <= 0.05 / contrasts


def test_every_table_is_what_a_path_to_its_state_gives() -> None:
    table = tabulate_e(Design(5, EXPECTED_RATES))[5]
    arm, reference = [True, True, False, False, False], [True, False, False, False, False]
    # Failures last: then e is never higher before the end.
    path = weigh_evidence(arm[::-1], reference[::-1])
    assert table[2, 1] <= path.e + 1e-9
    assert table[2, 1] == pytest.approx(table[1, 2])


def test_a_cap_whose_tables_are_too_large_falls_back_to_the_open_ended_rule() -> None:
    assert choose_rule(Design(LARGEST_CAP + 1, EXPECTED_RATES), 1).threshold is None
    assert choose_rule(Design(10, EXPECTED_RATES), 0).threshold is None


#: 5 of 24 fail, far apart.
RARE: list[Outcome] = [False, False, False, True, *([False] * 4 + [True]) * 4]


def ask(cap: int, rule: DecisionRule) -> Question:
    return Question((ORDER,), until_decided=True, rule=rule, cap=cap)


def test_the_same_attempts_are_decided_by_the_rule_that_was_stored() -> None:
    cells = {"a": CellOutcomes([False] * 15, 21), "d": CellOutcomes([True, False, False] * 5, 21)}
    today = judge_question(ask(36, choose_rule(Design(36, EXPECTED_RATES), 1)), cells)
    (contrast,) = today.contrasts
    assert contrast.finding is Finding.DIFFERENT
    assert contrast.comparison is not None
    assert contrast.comparison.test == CALIBRATED
    assert contrast.p_adjusted <= 0.05
    few = {"a": CellOutcomes([False] * 24, 12), "d": CellOutcomes(RARE, 12)}
    rule = choose_rule(Design(36, EXPECTED_RATES), 1)
    assert judge_question(ask(36, rule), few).contrasts[0].finding is Finding.DIFFERENT
    first = judge_question(ask(36, FIRST_RULE), few)
    assert first.contrasts[0].finding is Finding.UNDECIDED


def test_a_hopeless_comparison_is_given_up_and_a_hopeful_one_is_not() -> None:
    question = ask(36, choose_rule(Design(36, EXPECTED_RATES), 1))
    clean = CellOutcomes([False] * 20, 16)
    assert is_settled(question, {"a": clean, "d": clean})
    hopeful = CellOutcomes([False] * 17 + [True] * 3, 16)
    assert not is_settled(question, {"a": clean, "d": hopeful})
    assert not is_settled(question, {"a": CellOutcomes([], 36), "d": CellOutcomes([], 36)})


def test_infrastructure_counts_against_a_difference_within_the_cap() -> None:
    question = ask(36, choose_rule(Design(36, EXPECTED_RATES), 1))
    clean, lost = [False] * 24, [False] * 21 + [None] * 3
    failing = RARE
    assert (
        judge_question(question, {"a": CellOutcomes(clean, 12), "d": CellOutcomes(failing, 12)})
        .contrasts[0]
        .finding
        is Finding.DIFFERENT
    )
    judged = judge_question(question, {"a": CellOutcomes(lost, 12), "d": CellOutcomes(failing, 12)})
    assert judged.contrasts[0].finding is not Finding.DIFFERENT


def test_a_stated_direction_never_finds_the_other() -> None:
    rule = choose_rule(Design(30, EXPECTED_RATES, Alternative.LESS), 1)
    cells = {"a": CellOutcomes([False] * 20, 10), "d": CellOutcomes([True] * 20, 10)}
    assert judge_question(ask(30, rule), cells).contrasts[0].finding is Finding.UNDECIDED
    assert is_settled(ask(30, rule), cells)
    swapped = {"a": cells["d"], "d": cells["a"]}
    assert judge_question(ask(30, rule), swapped).contrasts[0].finding is Finding.DIFFERENT

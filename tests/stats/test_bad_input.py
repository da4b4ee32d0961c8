"""Questions and runs at the edge: many comparisons, cells that were lost, nothing measured."""

import time

import pytest

from harness.core.decision_rule import DecisionRule
from harness.core.exits import ExitCode
from harness.stats.boundary import Design, choose_rule
from harness.stats.contrasts import Finding
from harness.stats.intervals import RateError
from harness.stats.judge import is_settled, judge_question
from harness.stats.planned import CellOutcomes, PlannedContrast, Question
from harness.stats.power import attempts_needed_fixed

CAP = 36
RULES = [choose_rule(Design(CAP, (0.2, 0.0)), 1), DecisionRule()]


def ask(rule: DecisionRule, contrasts: int = 1) -> Question:
    planned = tuple(PlannedContrast(f"d{i}", "a", f"d{i}", "a") for i in range(contrasts))
    return Question(planned, until_decided=True, rule=rule, cap=CAP)


def test_a_hundred_comparisons_share_the_error_and_one_plain_difference_is_found() -> None:
    rule = DecisionRule()
    cells = {f"d{i}": CellOutcomes([i == 7] * CAP) for i in range(100)}
    cells["a"] = CellOutcomes([False] * CAP)
    found = judge_question(ask(rule, 100), cells).contrasts
    assert [i for i, one in enumerate(found) if one.finding is Finding.DIFFERENT] == [7]
    assert 200 < (choose_rule(Design(CAP, (0.2, 0.0)), 100).threshold or 0) <= 2000


@pytest.mark.parametrize("rule", RULES)
def test_a_cell_that_was_lost_half_way_ends_its_comparison_at_its_prefix(
    rule: DecisionRule,
) -> None:
    cells = {"a": CellOutcomes([False] * 20, 16), "d0": CellOutcomes([False] * 4, 0)}
    verdict = judge_question(ask(rule), cells)
    assert verdict.contrasts[0].finding is Finding.UNDECIDED
    comparison = verdict.contrasts[0].comparison
    assert comparison is not None
    assert (comparison.n, comparison.reference_n) == (4, 4)


@pytest.mark.parametrize("rule", RULES)
def test_nothing_measured_is_a_cannot_say_and_not_settled(rule: DecisionRule) -> None:
    empty = {"a": CellOutcomes([], CAP), "d0": CellOutcomes([], CAP)}
    assert not is_settled(ask(rule), empty)
    verdict = judge_question(ask(rule), empty)
    assert verdict.contrasts[0].finding is Finding.CANNOT_SAY
    assert verdict.exit_code is ExitCode.NO_VALID_ATTEMPT
    lost = {"a": CellOutcomes([None] * CAP), "d0": CellOutcomes([None] * CAP)}
    assert judge_question(ask(rule), lost).exit_code is ExitCode.NO_VALID_ATTEMPT


def test_rates_that_hardly_differ_are_planned_in_bounded_time() -> None:
    began = time.process_time()
    assert attempts_needed_fixed(0.501, 0.5).n > 1_000_000
    assert time.process_time() - began < 2
    with pytest.raises(RateError):
        attempts_needed_fixed(0.5, 0.5)

"""A run until decided is decided only if one burst of failures would not do it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.decision_rule import Alternative, DecisionRule
from harness.core.plan import EXPECTED_RATES
from harness.stats.boundary import Design, choose_rule
from harness.stats.bursts import CONSTANT, DOUBT, SHARE, BurstCheck, CellOrder
from harness.stats.contrasts import Finding
from harness.stats.judge import is_settled, judge_question
from harness.stats.looks import PairLooks
from harness.stats.permutation import compute_clustering_p
from harness.stats.planned import CellOutcomes, PlannedContrast, Question
from harness.stats.sequential import Outcome, weigh_evidence
from tests.stats.test_clustering import draw_chain

ORDER = PlannedContrast("d", "a", "descending", "ascending")
CAP = 36
RULE = choose_rule(Design(CAP, EXPECTED_RATES), 1)
QUESTION = Question((ORDER,), until_decided=True, rule=RULE, cap=CAP)
FAILS = st.lists(st.booleans(), max_size=30)
SPREAD = ([True] + [False] * 3) * 6
ONE_BURST = [False] * 9 + [True] * 6 + [False] * 9


def look(arm: Sequence[Outcome], reference: Sequence[Outcome], question: Question) -> PairLooks:
    """Return what a run knows after these blocks."""
    looks = PairLooks(question, ORDER)
    for one, other in zip(arm, reference, strict=True):
        looks.add("d", one)
        looks.add("a", other)
    return looks


@given(FAILS)
def test_the_order_of_a_cell_is_judged_by_the_runs_test(failed: list[bool]) -> None:
    order = CellOrder()
    for one in failed:
        order.add(one)
    expected = compute_clustering_p(failed)
    if expected is None:
        expected = 0.0 if any(failed) else 1.0
    assert order.compute_p() == pytest.approx(expected)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_with_bursts_counted_once_attempts_count_that_follow_a_pass(
    blocks: list[tuple[bool, bool]],
) -> None:
    check = BurstCheck(EXPECTED_RATES)
    for block in blocks:
        check.add(*block)
    arm, reference = (list(one) for one in zip(*blocks, strict=True))
    mostly_fail = 2 * (sum(arm) + sum(reference)) > 2 * len(blocks)
    kept = [
        [now for before, now in zip([False, *one], one, strict=False) if before is mostly_fail]
        for one in (arm, reference)
    ]
    for alternative in Alternative:
        expected = weigh_evidence(kept[0], kept[1], EXPECTED_RATES, alternative).e_worst
        assert check.get_e(alternative) == pytest.approx(max(expected, 0.5))


def test_failures_by_chance_decide_and_as_many_in_one_burst_do_not() -> None:
    never = [False] * 24
    spread, burst = (look(arm, never, QUESTION) for arm in (SPREAD, ONE_BURST))
    assert (spread.is_decided, burst.is_decided) == (True, False)
    assert burst.is_open({"a": 1, "d": 1})
    assert not burst.is_open({"a": 0, "d": 0})
    cells = {"a": CellOutcomes(never, 12), "d": CellOutcomes(ONE_BURST, 12)}
    assert not is_settled(QUESTION, cells)
    (found,) = judge_question(QUESTION, cells).contrasts
    assert found.finding is Finding.CANNOT_SAY
    assert "follow each other" in found.reason


def test_a_plan_stored_before_is_judged_as_it_was() -> None:
    cells = {"a": CellOutcomes([False] * 24, 12), "d": CellOutcomes([*SPREAD[:1], *ONE_BURST[1:]])}
    before = replace(QUESTION, rule=replace(RULE, version=2))
    assert judge_question(before, cells).contrasts[0].finding is Finding.DIFFERENT


def test_bursts_that_come_again_and_again_decide_and_the_report_says_how() -> None:
    arm = ([False] * 4 + [True] * 4) * 4 + [False] * 4
    looks = look(arm, [False] * 36, QUESTION)
    assert looks.is_decided
    assert looks.was_doubtful
    cells = {"a": CellOutcomes([False] * 36), "d": CellOutcomes(arm)}
    (found,) = judge_question(QUESTION, cells).contrasts
    assert found.finding is Finding.DIFFERENT
    assert "each burst of failures counted once" in found.correction


@pytest.mark.parametrize("fails", [True, False])
def test_always_against_never_needs_a_few_attempts_more(fails: bool) -> None:
    sooner, later = (
        look([fails] * n, [not fails] * n, QUESTION).is_decided for n in (CONSTANT - 1, CONSTANT)
    )
    assert (sooner, later) == (False, True)


def test_what_comes_after_a_decision_does_not_undo_it() -> None:
    looks = look([*SPREAD, *[False] * 12], [False] * 24 + [True] * 12, QUESTION)
    assert looks.is_decided


def test_lost_attempts_end_no_burst() -> None:
    order = CellOrder()
    for outcome in (False, True, None, True, None, False, False):
        order.add(outcome)
    assert (order.failed, order.valid, order.runs) == (2, 5, 3)


def test_an_open_ended_rule_asks_for_the_same_share_of_its_threshold() -> None:
    looks = look(SPREAD, [False] * 24, replace(QUESTION, rule=DecisionRule()))
    burst = look(ONE_BURST, [False] * 24, replace(QUESTION, rule=DecisionRule()))
    assert (looks.is_decided, burst.is_decided) == (True, False)
    assert (DOUBT, SHARE) == (0.5, 0.5)


def test_bursts_seldom_make_equal_cells_different() -> None:
    """Chains at a rate of 0.2 in bursts of three: without this rule 33 % are called different."""
    rng = np.random.default_rng(11)
    found = [
        look(draw_chain(rng, CAP), draw_chain(rng, CAP), QUESTION).is_decided for _ in range(150)
    ]
    assert sum(found) <= 18

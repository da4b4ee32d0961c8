"""Looks that cost what is new say what a look at everything says."""

import random
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.decision_rule import FIRST_RULE, Alternative, DecisionRule
from harness.core.plan import EXPECTED_RATES
from harness.stats.boundary import Design, choose_rule, find_futile
from harness.stats.looks import Looks
from harness.stats.planned import CellOutcomes, PlannedContrast, Question
from harness.stats.rate_gate import RateGate, judge_rate_gate
from harness.stats.sequential import Outcome, compute_threshold, weigh_evidence

ORDER = PlannedContrast("d", "a", "descending", "ascending")
OUTCOMES = st.lists(st.sampled_from([True, False, False, None]), max_size=20)
CAP = 24
RULES = [
    choose_rule(Design(CAP, EXPECTED_RATES), 1),
    choose_rule(Design(CAP, EXPECTED_RATES, Alternative.MORE), 1),
    choose_rule(Design(CAP, EXPECTED_RATES, Alternative.LESS), 1),
    DecisionRule(),
    FIRST_RULE,
]


def decide_at_once(question: Question, arm: Sequence[Outcome], other: Sequence[Outcome]) -> bool:
    """Whether one pair is settled, from all its attempts."""
    rule = question.rule
    needed = rule.threshold or compute_threshold(1)
    if weigh_evidence(arm, other, alternative=rule.alternative).e_worst >= needed:
        return True
    n = min(len(arm), len(other))
    if rule.threshold is not None:
        futile = find_futile(Design(CAP, EXPECTED_RATES, rule.alternative), rule, n)
        a, b = list(arm[:n]), list(other[:n])
        up = a.count(True), n - b.count(False)
        down = n - a.count(False), b.count(True)
        return bool(futile[up] and futile[down])
    return not any(
        weigh_evidence(
            [*arm, *[fails] * (CAP - len(arm))], [*other, *[not fails] * (CAP - len(other))]
        ).e_worst
        >= needed
        for fails in (True, False)
    )


@given(OUTCOMES, OUTCOMES, st.sampled_from(RULES))
@settings(deadline=None, max_examples=150)
def test_a_pair_is_settled_as_all_its_attempts_say(
    arm: list[Outcome], other: list[Outcome], rule: DecisionRule
) -> None:
    # Bursts have tests of their own.
    rule = replace(rule, version=min(rule.version, 3))
    question = Question((ORDER,), until_decided=True, rule=rule, cap=CAP)
    looks = Looks(question, ["a", "d"])
    for name, outcomes in (("d", arm), ("a", other)):
        for outcome in outcomes:
            looks.add(name, outcome)
    left = {"d": CAP - len(arm), "a": CAP - len(other)}
    assert looks.is_settled(left) == decide_at_once(question, arm, other)


@given(OUTCOMES, OUTCOMES, st.integers(0, 60), st.sampled_from([DecisionRule(), FIRST_RULE]))
@settings(deadline=None, max_examples=60)
def test_a_gate_is_open_as_all_its_attempts_say(
    one: list[Outcome], other: list[Outcome], left: int, rule: DecisionRule
) -> None:
    question = Question(gate=0.2, until_decided=True, rule=rule)
    cells = {"a": CellOutcomes(one, left), "b": CellOutcomes(other, left)}
    looks = Looks(question, list(cells))
    for name, cell in cells.items():
        for outcome in cell.outcomes:
            looks.add(name, outcome)
    settled = looks.is_settled({"a": left, "b": left})
    assert settled == (judge_rate_gate(question, cells) is not RateGate.OPEN)


def test_ten_thousand_looks_take_seconds() -> None:
    question = Question((ORDER,), until_decided=True, rule=DecisionRule(), cap=6000)
    looks, chance = Looks(question, ["a", "d"]), random.Random(1)
    began = time.process_time()
    for i in range(10_000):
        looks.add("ad"[i % 2], chance.random() < 0.1)
        looks.is_settled({"a": 1000, "d": 1000})
    assert time.process_time() - began < 5


@pytest.mark.parametrize("name", ["a", "d"])
def test_a_cell_of_a_pair_is_never_needless(name: str) -> None:
    looks = Looks(Question((ORDER,), until_decided=True, cap=CAP), ["a", "d"])
    for _ in range(20):
        looks.add("a", True)
        looks.add("d", False)
    assert not looks.is_needless(name)

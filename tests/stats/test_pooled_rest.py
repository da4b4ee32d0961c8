"""Which of several cells fails more often: each against the pooled rest."""

import itertools
import random
from collections.abc import Sequence

import pytest

from harness.core.decision_rule import Alternative, DecisionRule
from harness.core.exits import ExitCode
from harness.stats.attempts_needed import attempts_needed_for_contrasts
from harness.stats.contrasts import Finding
from harness.stats.judge import is_settled, judge_question
from harness.stats.planned import CellOutcomes, PlannedContrast, Question
from harness.stats.pooled_rest import PooledRest, RestDesign, tabulate_factors
from harness.stats.sequential import Outcome, list_alternatives

SIX = [f"c{i}" for i in range(6)]


def compare(names: Sequence[str], alternative: Alternative = Alternative.TWO_SIDED) -> PooledRest:
    return PooledRest(names, RestDesign((0.2, 0.0), alternative, len(names) / 0.05))


def measure(rates: Sequence[float], cap: int, chance: random.Random) -> tuple[PooledRest, int]:
    """Measure cells until nothing is open; return the comparison and the attempts it took."""
    names = SIX[: len(rates)]
    group, spent = compare(names), 0
    for left in range(cap, 0, -1):
        if not group.list_open(dict.fromkeys(names, left)):
            break
        for name in group.active:
            group.add(name, chance.random() < rates[names.index(name)])
            spent += 1
    return group, spent


@pytest.mark.parametrize("rest", [1, 2, 5])
@pytest.mark.parametrize("alternative", list(Alternative))
def test_a_block_expects_at_most_one_if_the_cell_fails_no_more_than_the_rest(
    rest: int, alternative: Alternative
) -> None:
    """Also if the rest differ among themselves."""
    factors = tabulate_factors((0.2, 0.0), alternative, rest)
    weights = [weight for weight, _, _ in list_alternatives((0.2, 0.0))]
    chance = random.Random(2)
    for _ in range(40):
        others = [chance.random() for _ in range(rest)]
        mean = sum(others) / rest
        for i in range(len(weights)):
            fails, passes, other_fails, other_passes = (
                0.0 if log < -600 else 2.718281828459045**log for log in factors[:, i]
            )
            expected = mean * fails + (1 - mean) * passes
            for rate in others:
                expected *= rate * other_fails + (1 - rate) * other_passes
            assert expected <= 1 + 1e-9


def test_the_bad_one_of_six_is_named_with_a_quarter_of_the_attempts() -> None:
    chance = random.Random(6)
    found = [measure([0.2, 0, 0, 0, 0, 0], 60, chance) for _ in range(40)]
    assert sum(list(group.named) == ["c0"] for group, _ in found) >= 38
    assert sum(spent for _, spent in found) / len(found) <= 120  # of 360


def test_equal_cells_are_seldom_named() -> None:
    chance = random.Random(7)
    assert sum(bool(measure([0.1] * 3, 40, chance)[0].named) for _ in range(60)) <= 3


def test_a_named_cell_leaves_the_rest_and_a_second_one_is_found() -> None:
    group = compare(SIX)
    for _ in range(12):
        for name in group.active:
            group.add(name, name in ("c0", "c1"))
    assert set(group.named) == {"c0", "c1"}
    group.add("c0", True)
    assert group.count("c0")[0] == group.named["c0"]


def test_infrastructure_counts_against_the_cell_that_is_named() -> None:
    clean, lost = compare(SIX[:3]), compare(SIX[:3])
    for _ in range(10):
        for name in SIX[:3]:
            clean.add(name, name == "c0")
            lost.add(name, None if name == "c1" else name == "c0")
    assert lost.get_e("c0")[1] < clean.get_e("c0")[1]
    assert lost.get_e("c0")[0] > 1


def test_the_least_often_failing_one_is_named_if_that_was_asked() -> None:
    group = compare(SIX[:3], Alternative.LESS)
    for _ in range(30):
        for name in SIX[:3]:
            group.add(name, name != "c0")
    assert set(group.named) == {"c0"}


def ask(cap: int = 60) -> Question:
    contrasts = tuple(
        PlannedContrast(name, "c0" if name != "c0" else "c1", name, "the rest", "",
                        tuple(other for other in SIX if other != name))
        for name in SIX
    )  # fmt: skip
    return Question(contrasts, until_decided=True, rule=DecisionRule(), cap=cap)


def make_cells(bad: int, blocks: int, remaining: int) -> dict[str, CellOutcomes]:
    fails: list[Outcome] = [i % (blocks // bad) == 1 for i in range(blocks)] if bad else []
    passes: list[Outcome] = [False] * blocks
    return {n: CellOutcomes(fails if n == "c0" and bad else passes, remaining) for n in SIX}


def test_a_run_with_one_bad_cell_is_settled_and_names_it_alone() -> None:
    cells = make_cells(5, 20, 40)
    assert is_settled(ask(), cells)
    verdict = judge_question(ask(), cells)
    findings = [one.finding for one in verdict.contrasts]
    assert findings == [Finding.DIFFERENT] + [Finding.UNDECIDED] * 5
    assert verdict.exit_code is ExitCode.FAILURES
    assert len(verdict.sentences) == 2
    (found,) = {one.comparison for one in verdict.contrasts[:1]}
    assert found is not None
    assert found.difference.low >= 0
    assert (found.n, found.reference_n) == (found.reference_n // 5, found.n * 5)


def test_clean_cells_are_given_up_and_few_attempts_are_not() -> None:
    assert is_settled(ask(), make_cells(0, 40, 20))
    assert not is_settled(ask(), make_cells(0, 10, 50))
    assert is_settled(ask(), make_cells(0, 10, 1))
    nothing = {name: CellOutcomes([], 60) for name in SIX}
    assert judge_question(ask(), nothing).exit_code is ExitCode.NO_VALID_ATTEMPT
    lost = {name: CellOutcomes([None] * 9, 51) for name in SIX}
    assert judge_question(ask(), lost).contrasts[0].finding is Finding.CANNOT_SAY


def test_a_hundred_cells_are_judged_and_planned_in_little_time() -> None:
    names = [f"x{i}" for i in range(100)]
    contrasts = tuple(
        PlannedContrast(a, names[0 if i else 1], a, "the rest", "",
                        tuple(b for b in names if b != a))
        for i, a in enumerate(names)
    )  # fmt: skip
    question = Question(contrasts, until_decided=True, cap=20)
    cells = {name: CellOutcomes([i == 3] * 12, 8) for i, name in enumerate(names)}
    found = judge_question(question, cells).contrasts
    assert [i for i, one in enumerate(found) if one.finding is Finding.DIFFERENT] == [3]
    assert 5 < attempts_needed_for_contrasts(question) < 40


def test_which_of_six_is_planned_with_fewer_attempts_than_each_pair() -> None:
    needed = attempts_needed_for_contrasts(ask())
    pairs = tuple(PlannedContrast(b, a, b, a) for a, b in itertools.pairwise(SIX))
    assert needed < attempts_needed_for_contrasts(Question(pairs, until_decided=True))

"""Cells whose failures come in clusters are judged by blocks."""

from dataclasses import replace

import numpy as np
import pytest

from harness.core.decision_rule import CURRENT_RULE, DecisionRule
from harness.stats.clustering import BLOCKS, compute_block_p, find_clustered
from harness.stats.contrasts import Finding
from harness.stats.judge import judge_question
from harness.stats.permutation import compute_clustering_p, compute_runs_p
from harness.stats.planned import CellOutcomes, PlannedContrast, Question

ORDER = PlannedContrast("d", "a", "descending", "ascending")
ONE_BURST = CellOutcomes([False] * 20 + [True] * 12 + [False] * 18)
CLEAN = CellOutcomes([False] * 50)
BEFORE = replace(CURRENT_RULE, version=2)


def test_one_burst_of_failures_is_no_difference_between_cells() -> None:
    (found,) = judge_question(Question((ORDER,)), {"a": CLEAN, "d": ONE_BURST}).contrasts
    assert found.finding is Finding.CANNOT_SAY
    (old,) = judge_question(Question((ORDER,), rule=BEFORE), {"a": CLEAN, "d": ONE_BURST}).contrasts
    assert old.finding is Finding.DIFFERENT


def test_bursts_in_every_block_are_a_difference_judged_by_blocks() -> None:
    bursts = CellOutcomes(([True] * 8 + [False] * 12) * 8)
    cells = {"a": CellOutcomes([False] * 160), "d": bursts}
    (found,) = judge_question(Question((ORDER,)), cells).contrasts
    assert found.finding is Finding.DIFFERENT
    assert found.p_adjusted == pytest.approx(2 / 2**BLOCKS)
    assert "blocks" in found.correction


def test_a_decided_run_whose_failures_came_in_one_burst_is_a_cannot_say() -> None:
    cells = {"a": CellOutcomes([False] * 40), "d": CellOutcomes([False] * 30 + [True] * 10)}
    question = Question((ORDER,), until_decided=True, rule=DecisionRule(), cap=60)
    assert judge_question(question, cells).contrasts[0].finding is Finding.CANNOT_SAY


def test_blocks_that_all_differ_one_way_have_the_chance_of_equal_signs() -> None:
    assert compute_block_p([True] * 80, [False] * 80) == pytest.approx(2 / 2**8)
    assert compute_block_p([True] * 90, [False] * 90, 2) == pytest.approx(2 * 2 / 2**9)
    assert compute_block_p([True, False] * 40, [False, True] * 40) == 1.0
    assert compute_block_p([], []) == 1.0
    assert compute_block_p([None] * 40, [False] * 40) == 1.0


def test_only_cells_with_clusters_are_found() -> None:
    found = find_clustered({"a": CLEAN, "b": ONE_BURST, "c": CellOutcomes([True, False] * 25)})
    assert list(found) == ["b"]
    assert found["b"] < 1e-6


def test_the_lower_tail_of_the_runs_test_is_half_of_both() -> None:
    burst = [False] * 6 + [True] * 4 + [False] * 6
    both, lower = compute_runs_p(burst), compute_clustering_p(burst)
    assert both is not None
    assert lower == pytest.approx(both / 2)
    assert compute_clustering_p([True, False] * 8) == 1.0
    assert compute_clustering_p([True] * 4) is None


def test_clustered_failures_seldom_make_equal_cells_different() -> None:
    """Chains whose bursts last three attempts: Boschloo's test alone calls 30 % different."""
    rng = np.random.default_rng(5)
    false = 0
    for _ in range(60):
        cells = {name: CellOutcomes(draw_chain(rng, 60)) for name in ("a", "d")}
        (found,) = judge_question(Question((ORDER,)), cells).contrasts
        false += found.finding is Finding.DIFFERENT
    assert false <= 7


def draw_chain(rng: np.random.Generator, attempts: int) -> list[bool]:
    """Failures at a rate of 0.2 that last three attempts on average."""
    stay, begin = 2 / 3, 0.2 / 0.8 / 3
    fails, found = bool(rng.random() < 0.2), []
    for _ in range(attempts):
        found.append(fails)
        fails = bool(rng.random() < (stay if fails else begin))
    return found

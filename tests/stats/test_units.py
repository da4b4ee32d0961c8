"""Rates that differ between zygotes: wider intervals, and verdicts that zygotes could not make."""

import numpy as np
import pytest
from scipy.stats import t as student

from harness.stats.contrasts import Finding
from harness.stats.intervals import compute_clopper_pearson
from harness.stats.judge import judge_question
from harness.stats.planned import CellOutcomes, PlannedContrast, Question
from harness.stats.rate_gate import RateGate
from harness.stats.units import Clusters, Units, find_clusters

ORDER = PlannedContrast("d", "a", "descending", "ascending")
#: Two of eight zygotes fail always.
UNEVEN: Units = {f"z{i}": (10 if i < 2 else 0, 10) for i in range(8)}
EVEN: Units = {f"y{i}": (2, 10) for i in range(8)}


def draw_cell(rng: np.random.Generator, name: str, icc: float) -> tuple[CellOutcomes, Units]:
    """60 attempts of six zygotes whose rates are drawn around 0.2."""
    rest = (1 - icc) / icc
    rates = rng.beta(0.2 * rest, 0.8 * rest, 6)
    fails = rng.random((10, 6)) < rates
    units: Units = {f"{name}{i}": (int(fails[:, i].sum()), 10) for i in range(6)}
    return CellOutcomes([bool(f) for f in fails.ravel()]), units


def test_equal_zygotes_and_a_single_one_are_no_clusters() -> None:
    assert find_clusters({"a": EVEN}) is None
    assert find_clusters({"a": {"z": (5, 50)}}) is None
    assert find_clusters({}) is None


def test_an_interval_is_that_of_the_effective_attempts_and_says_so() -> None:
    clusters = find_clusters({"a": UNEVEN})
    assert clusters is not None
    assert clusters.effect > 5
    found = clusters.widen(compute_clopper_pearson)(20, 80, 0.95)
    plain = compute_clopper_pearson(20, 80)
    assert found.low < plain.low < plain.high < found.high
    assert found.method == "clopper-pearson, clustered by zygote"


def test_a_difference_between_zygotes_is_students_t() -> None:
    clusters = Clusters({"d": UNEVEN, "a": EVEN}, 1.0)
    residuals = [(k - 2.5) / 80 for k, _ in UNEVEN.values()] + [0.0] * 8
    spread = (sum(r * r for r in residuals) * 16 / 15) ** 0.5
    assert clusters.compute_p("d", ["a"]) == pytest.approx(2 * student.sf(0.05 / spread, 15))
    assert clusters.compute_p("d", []) == 1.0
    assert Clusters({"d": EVEN, "a": {"x": (0, 9), "y": (0, 9)}}, 1.0).compute_p("d", ["a"]) == 0.0


def test_zygotes_that_served_both_cells_alike_do_not_hide_a_difference() -> None:
    arm = {zygote: (min(k + 3, 10), n) for zygote, (k, n) in UNEVEN.items()}
    assert Clusters({"d": arm, "a": UNEVEN}, 1.0).compute_p("d", ["a"]) < 0.01


def test_zygotes_of_their_own_seldom_make_cells_different() -> None:
    """Cells with an environment of their own share no zygote: Boschloo alone errs in 15 to 25 %."""
    rng = np.random.default_rng(2)
    false = plain = 0
    for _ in range(60):
        (a, a_units), (d, d_units) = draw_cell(rng, "a", 0.2), draw_cell(rng, "d", 0.2)
        cells = {"a": a, "d": d}
        clusters = find_clusters({"a": a_units, "d": d_units})
        (found,) = judge_question(Question((ORDER,)), cells, clusters).contrasts
        (old,) = judge_question(Question((ORDER,)), cells).contrasts
        false += found.finding is Finding.DIFFERENT
        plain += old.finding is Finding.DIFFERENT
    assert false <= 7 < plain


def test_a_difference_beyond_what_zygotes_do_is_found_and_says_how() -> None:
    arm: Units = {f"x{i}": (9 - i % 2, 10) for i in range(8)}
    clusters = find_clusters({"d": arm, "a": UNEVEN})
    cells = {"d": CellOutcomes([True] * 17 + [False] * 3), "a": CellOutcomes([False] * 20)}
    assert clusters is not None
    (found,) = judge_question(Question((ORDER,)), cells, clusters).contrasts
    assert found.finding is not Finding.UNDECIDED
    assert clusters.compute_p("d", ["a"]) < 0.05


def test_a_gate_holds_only_with_the_clustered_bound() -> None:
    clusters = find_clusters({"a": {f"z{i}": (3 if i == 0 else 0, 15) for i in range(10)}})
    assert clusters is not None
    cells = {"a": CellOutcomes([i % 50 == 7 for i in range(150)])}
    assert judge_question(Question(gate=0.06), cells).gate is RateGate.HOLDS
    assert judge_question(Question(gate=0.06), cells, clusters).gate is RateGate.OUT_OF_REACH

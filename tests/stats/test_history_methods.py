"""Culprit posterior, change points, comparisons between runs: vectors and seeded simulations."""

import math

import numpy as np
import pytest

from harness.stats.between_runs import attempts_needed_for_fix, compare_between_runs
from harness.stats.change_points import RunTally, compute_segment_log, find_changes
from harness.stats.culprit import ENOUGH, Tally, choose_commit, weigh_commits
from harness.stats.intervals import CountError

#: LUCI's sequence_likelihood_test.go: prior, failures, passes, likelihood of one order of them.
LUCI = [
    ((1.0, 1.0), 2, 0, 1 / 3),
    ((1.0, 1.0), 1, 1, 1 / 6),
    ((0.3, 0.5), 1, 0, 0.375),
    ((0.3, 0.5), 0, 1, 0.625),
    ((0.3, 0.5), 0, 2, 0.5208333),
    ((0.3, 0.5), 1, 1, 0.2083333 / 2),
    ((0.3, 0.5), 2, 0, 0.2708333),
]


@pytest.mark.parametrize(("prior", "failed", "passed", "likelihood"), LUCI)
def test_a_segments_likelihood_is_lucis(
    prior: tuple[float, float], failed: int, passed: int, likelihood: float
) -> None:
    found = math.exp(compute_segment_log(failed, passed, prior))
    assert found == pytest.approx(likelihood, abs=1e-6)


def test_a_change_is_found_where_it_is_and_none_where_there_is_none() -> None:
    runs = [RunTally(0, 20)] * 12 + [RunTally(6, 14)] * 8
    (change,) = find_changes(runs)
    assert change.index == 12
    assert change.chance > 0.95
    assert find_changes([RunTally(1, 19), RunTally(0, 20)] * 10) == []
    assert find_changes([]) == find_changes([RunTally(3, 3)]) == []


def test_changes_are_seldom_found_in_runs_of_one_rate() -> None:
    rng = np.random.default_rng(4)
    found = 0
    for _ in range(60):
        failed = rng.binomial(20, 0.1, 25)
        found += bool(find_changes([RunTally(int(k), 20 - int(k)) for k in failed]))
    assert found <= 3


def test_the_commit_whose_attempts_changed_is_the_likeliest() -> None:
    beliefs = weigh_commits([Tally(0, 20), Tally(0, 20), Tally(8, 12), Tally(7, 13)])
    assert beliefs.best == 2
    assert beliefs.chances[2] > ENOUGH
    assert beliefs.chances.sum() == pytest.approx(1)
    assert beliefs.chances[0] == 0
    assert beliefs.before[2] < 0.06
    assert 0.25 < beliefs.after[2] < 0.5


def test_without_attempts_every_commit_is_as_likely_and_the_middle_comes_next() -> None:
    beliefs = weigh_commits([Tally()] * 9)
    assert np.allclose(beliefs.chances[1:], 1 / 8)
    assert beliefs.entropy == pytest.approx(3)
    chosen = choose_commit(beliefs)
    assert chosen is not None
    assert 2 <= chosen <= 6
    assert choose_commit(beliefs, {chosen}) != chosen
    assert choose_commit(beliefs, range(9)) is None
    with pytest.raises(CountError, match="a good and a bad one"):
        weigh_commits([Tally()])


def find_culprit(
    rng: np.random.Generator, commits: int, rates: tuple[float, float]
) -> tuple[bool, int]:
    """Return whether the right commit was named, and the attempts it took, four at a time."""
    culprit = int(rng.integers(1, commits))
    tallies = [Tally()] * commits
    spent = 0
    while True:
        beliefs = weigh_commits(tallies)
        if beliefs.chances.max() >= ENOUGH or spent > 2000:
            return beliefs.best == culprit, spent
        at = choose_commit(beliefs)
        assert at is not None
        failed = int(rng.binomial(4, rates[at >= culprit]))
        tallies[at] = Tally(tallies[at].failed + failed, tallies[at].passed + 4 - failed)
        spent += 4


def test_a_culprit_among_64_commits_is_found_within_300_attempts() -> None:
    rng = np.random.default_rng(17)
    results = [find_culprit(rng, 64, (0.02, 0.2)) for _ in range(20)]
    assert np.mean([right for right, _ in results]) >= 0.9
    assert np.mean([spent for _, spent in results]) <= 300


@pytest.mark.parametrize(("failed", "clean"), [(10, 18), (5, 45), (3, 99)])
def test_a_fix_needs_so_many_clean_attempts(failed: int, clean: int) -> None:
    assert attempts_needed_for_fix(failed, 50) == clean
    assert attempts_needed_for_fix(0, 50) is None


def test_runs_that_differ_as_the_history_does_are_not_called_different() -> None:
    varied = [RunTally(k, 50 - k) for k in (2, 14, 6, 11, 1, 9)]
    steady = [RunTally(k, 50 - k) for k in (5, 6, 4, 5, 6, 5)]
    base, head = RunTally(3, 47), RunTally(14, 36)
    wide = compare_between_runs(base, head, varied)
    narrow = compare_between_runs(base, head, steady)
    assert wide is not None
    assert narrow is not None
    assert wide.p > 0.05 > narrow.p
    assert wide.spread > narrow.spread
    assert compare_between_runs(base, head, steady[:2]) is None


@pytest.mark.parametrize("mean", [0.1, 0.2])
def test_between_run_variance_is_seldom_taken_for_a_difference(mean: float) -> None:
    """Rates of runs with a logit SD of 0.5: false "different" was 14 to 23 %."""
    rng = np.random.default_rng(11)
    logit = math.log(mean / (1 - mean))
    false = 0
    for _ in range(40):
        rates = 1 / (1 + np.exp(-(logit + 0.5 * rng.standard_normal(10))))
        base, head, *history = (RunTally(int(k), 50 - int(k)) for k in rng.binomial(50, rates))
        found = compare_between_runs(base, head, history)
        assert found is not None
        false += found.p <= 0.05
    assert false <= 5

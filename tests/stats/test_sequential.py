"""Looks that stay valid: the prefix, the e-process, curtailment, the gate."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.stats.attempts_needed import (
    compute_one_sided_e,
    compute_two_sided_e,
    simulate_decisions,
)
from harness.stats.intervals import RateError, compute_confidence_sequence, compute_log_e_below
from harness.stats.planned import CellOutcomes
from harness.stats.rate_gate import RateGate, judge_cell_by_sequence
from harness.stats.sequential import (
    bound_difference_anytime,
    compare_sequentially,
    compute_block_factors,
    compute_threshold,
    count_blocks,
    list_alternatives,
    weigh_evidence,
)

OUTCOMES = st.lists(st.sampled_from([True, False]), min_size=1, max_size=30)
WITH_INFRA = st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=8)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 0.999))
def test_a_block_expects_at_most_one_at_any_common_rate(
    rate: float, reference: float, common: float
) -> None:
    assume(0 < (rate + reference) / 2 < 1)
    passed = 1 - common
    chances = (passed**2, passed * common, common * passed, common**2)
    factors = compute_block_factors(rate, reference)
    assert sum(c * f for c, f in zip(chances, factors, strict=True)) <= 1 + 1e-9


def test_the_weights_of_the_mixture_sum_to_one_and_point_one_way() -> None:
    alternatives = list_alternatives((0.0, 0.3))
    assert sum(weight for weight, _, _ in alternatives) == pytest.approx(1)
    assert all(rate > reference for _, rate, reference in alternatives)


def test_the_e_process_errs_seldom_over_all_looks_by_exact_enumeration() -> None:
    """All paths of 14 blocks at one common rate: the chance that e ever reached 20."""
    for rate in (0.1, 0.5):
        alive: dict[tuple[int, ...], float] = {(0, 0, 0, 0): 1.0}
        crossed = 0.0
        for _ in range(14):
            ahead: dict[tuple[int, ...], float] = {}
            for counts, chance in alive.items():
                for code, (a, b) in enumerate(itertools.product((0, 1), repeat=2)):
                    share = (rate if a else 1 - rate) * (rate if b else 1 - rate)
                    new = tuple(c + (i == code) for i, c in enumerate(counts))
                    ahead[new] = ahead.get(new, 0.0) + chance * share
            states = np.array(list(ahead))
            hit = compute_two_sided_e(states) >= 20
            crossed += sum(c for c, h in zip(ahead.values(), hit, strict=True) if h)
            alive = {s: c for (s, c), h in zip(ahead.items(), hit, strict=True) if not h}
        assert crossed <= 0.05


@given(OUTCOMES, OUTCOMES)
@settings(deadline=None)
def test_the_two_ways_to_compute_e_agree(arm: list[bool], reference: list[bool]) -> None:
    n = min(len(arm), len(reference))
    codes = 2 * np.array(arm[:n]) + np.array(reference[:n])
    history = np.cumsum(codes[:, None] == np.arange(4), axis=0)
    highest = max(0.5, compute_two_sided_e(history).max())
    assert weigh_evidence(arm, reference).e == pytest.approx(highest)


@given(OUTCOMES, OUTCOMES)
@settings(deadline=None)
def test_exchanging_the_arms_keeps_the_evidence(arm: list[bool], reference: list[bool]) -> None:
    one, other = weigh_evidence(arm, reference), weigh_evidence(reference, arm)
    assert one.e == pytest.approx(other.e)
    assert one.e_worst == one.e


@given(WITH_INFRA, WITH_INFRA)
@settings(deadline=None, max_examples=60)
def test_worst_case_evidence_for_a_direction_holds_for_every_completion(
    arm: list[bool | None], reference: list[bool | None]
) -> None:
    n = min(len(arm), len(reference))
    worst = weigh_evidence(arm[:n], reference[:n])
    gaps = [i for i, outcome in enumerate([*arm[:n], *reference[:n]]) if outcome is None]
    for fill in itertools.islice(itertools.product((True, False), repeat=len(gaps)), 64):
        full = [*arm[:n], *reference[:n]]
        for index, value in zip(gaps, fill, strict=True):
            full[index] = value
        assert weigh_evidence(full[:n], full[n:]).e >= worst.e_worst - 1e-9


def test_drained_attempts_cannot_undo_a_decision() -> None:
    arm, reference = [True] * 7, [False] * 7
    decided = weigh_evidence(arm, reference)
    assert decided.e_worst >= compute_threshold(1)
    drained = weigh_evidence([*arm, *[False] * 3], [*reference, *[True] * 3])
    assert drained.e_worst >= decided.e_worst


def test_infrastructure_in_the_reference_counts_as_a_failure() -> None:
    arm: list[bool | None] = [True] * 7
    reference: list[bool | None] = [False] * 6 + [None]
    found = weigh_evidence(arm, reference)
    assert found.e_worst < found.e or found.e_worst == weigh_evidence(arm[:6], reference[:6]).e
    assert found.arm_is_worse


def test_the_threshold_grows_with_the_planned_contrasts() -> None:
    assert compute_threshold(1) == 20
    assert compute_threshold(6) == pytest.approx(120)
    with pytest.raises(RateError, match="nothing to decide"):
        compute_threshold(0)


def test_equal_planned_rates_are_refused() -> None:
    with pytest.raises(RateError, match="leave nothing to decide"):
        list_alternatives((0.2, 0.2))
    with pytest.raises(RateError, match=r"rate of 1\.2"):
        list_alternatives((1.2, 0.2))


def test_a_stopped_run_prints_the_sequences_difference() -> None:
    arm, reference = [True] * 10 + [False] * 40, [False] * 50
    found = compare_sequentially(arm, [*reference, False], 1 / 31)
    assert (found.k, found.n, found.reference_k, found.reference_n) == (10, 50, 0, 50)
    assert found.p == pytest.approx(1 / 31)
    low, high = (
        compute_confidence_sequence(10, 50, 0.975),
        compute_confidence_sequence(0, 50, 0.975),
    )
    assert found.difference.low == low.low - high.high
    assert bound_difference_anytime(0, 0, 0, 0).low == -1.0


def test_blocks_with_infrastructure_are_not_counted() -> None:
    counted = count_blocks([True, None, False, True], [False, False, False, None, True])
    assert (counted.neither, counted.arm_only) == (1, 1)
    assert (counted.swap_arms().reference_only, counted.both) == (1, 0)


def clean(attempts: int, remaining: int = 0) -> CellOutcomes:
    return CellOutcomes([False] * attempts, remaining)


@pytest.mark.parametrize(("rate", "attempts"), [(0.1, 32), (0.02, 164), (0.01, 328)])
def test_a_gate_holds_after_few_clean_attempts(rate: float, attempts: int) -> None:
    assert judge_cell_by_sequence(rate, clean(attempts - 1, 1)) is RateGate.OPEN
    assert judge_cell_by_sequence(rate, clean(attempts)) is RateGate.HOLDS
    later = CellOutcomes([False] * attempts + [True] * 5)
    assert judge_cell_by_sequence(rate, later) is RateGate.HOLDS


def test_a_gate_breaks_when_failures_are_too_many() -> None:
    assert judge_cell_by_sequence(0.02, CellOutcomes([True] * 3, 100)) is RateGate.BROKEN
    lost = CellOutcomes([True, None, True, True], 100)
    assert judge_cell_by_sequence(0.02, lost) is RateGate.BROKEN


def test_a_gate_that_the_plan_cannot_reach_is_given_up() -> None:
    assert judge_cell_by_sequence(0.02, clean(10)) is RateGate.OUT_OF_REACH
    assert judge_cell_by_sequence(0.02, clean(0)) is RateGate.OUT_OF_REACH


def test_infrastructure_counts_as_failed_where_a_gate_is_to_hold() -> None:
    lost = CellOutcomes([False] * 32 + [None], 0)
    assert judge_cell_by_sequence(0.1, lost) is RateGate.HOLDS
    assert judge_cell_by_sequence(0.1, CellOutcomes([None, *[False] * 32])) is RateGate.OUT_OF_REACH


@pytest.mark.parametrize("true_rate", [0.1, 0.12])
def test_the_gates_error_is_at_most_five_percent_by_exact_enumeration(true_rate: float) -> None:
    """All paths of 120 attempts at a rate that is not below the gate."""
    alive, held = {0: 1.0}, 0.0
    for n in range(1, 121):
        ahead: dict[int, float] = {}
        for k, chance in alive.items():
            for fails, share in ((1, true_rate), (0, 1 - true_rate)):
                if compute_log_e_below(0.1, k + fails, n) >= math.log(20):
                    held += chance * share
                else:
                    ahead[k + fails] = ahead.get(k + fails, 0.0) + chance * share
        alive = ahead
    assert 0 < held <= 0.05


def test_blocks_counted_by_arm_only_raise_the_one_sided_e() -> None:
    counts = np.array([[5, 0, 0, 0], [5, 0, 1, 0], [5, 1, 0, 0]])
    nothing, arm, reference = compute_one_sided_e(counts)
    assert arm > nothing > reference


def test_a_simulated_decision_starts_from_the_blocks_counted() -> None:
    ahead = count_blocks([True] * 4 + [False] * 6, [False] * 10)
    assert max(simulate_decisions(0.9, 0.0, 1.0, start=ahead, paths=50)) < 6

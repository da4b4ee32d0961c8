"""What failures follow: stratified tests, permutation tests and the verdict built on them."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, fisher_exact, norm

from harness.stats.attribution import Follows, attribute_failures
from harness.stats.contrasts import adjust_holm
from harness.stats.factors import Factor, collect_groups, list_weights
from harness.stats.interactions import compute_additivity_p
from harness.stats.intervals import CountError
from harness.stats.permutation import compute_association_p, compute_runs_p
from harness.stats.replay import Origin
from harness.stats.strata import Stratum, pool_strata

N = 240


def factors(*more: Factor) -> list[Factor]:
    order = [i % 2 for i in range(N)]
    device = [i // 2 % 4 for i in range(N)]
    return [
        Factor("order", ["descending" if o else "ascending" for o in order], axis=True),
        Factor("device", [f"gpu{d}" for d in device]),
        Factor("position", list(range(N)), ordered=True),
        *more,
    ]


def failing(bad: list[bool], seed: int = 0) -> list[bool]:
    rng = np.random.default_rng(seed)
    return [bool(rng.random() < (0.4 if worse else 0.03)) for worse in bad]


def test_stratified_has_its_reference_values() -> None:
    found = pool_strata([Stratum(10, 50, 2, 50), Stratum(3, 50, 1, 50)])
    assert found.odds_ratio == pytest.approx(4.937, abs=5e-4)
    assert found.p == pytest.approx(0.0087, abs=5e-5)
    assert found.p_corrected == pytest.approx(0.0183, abs=5e-5)
    assert found.p_homogeneity == pytest.approx(0.644, abs=5e-4)


def test_strata_that_disagree_are_not_homogeneous() -> None:
    found = pool_strata([Stratum(20, 40, 2, 40), Stratum(2, 40, 20, 40)])
    assert found.p == pytest.approx(1.0)
    assert found.p_homogeneity is not None
    assert found.p_homogeneity < 1e-6


def test_strata_without_information_give_no_number() -> None:
    found = pool_strata([Stratum(0, 10, 0, 10), Stratum(0, 0, 3, 5)])
    assert (found.odds_ratio, found.p, found.p_homogeneity) == (None, 1.0, None)
    assert pool_strata([]).p_corrected == 1.0
    assert pool_strata([Stratum(3, 9, 0, 9)]).odds_ratio is None
    with pytest.raises(CountError, match="cannot be"):
        pool_strata([Stratum(3, 2, 0, 9)])


@given(st.integers(1, 12), st.integers(1, 12), st.data())
@settings(max_examples=40, deadline=None)
def test_two_levels_in_one_stratum_are_the_exact_hypergeometric(
    n: int, m: int, data: st.DataObject
) -> None:
    k, j = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    failed = [True] * k + [False] * (n - k) + [True] * j + [False] * (m - j)
    p = compute_association_p(failed, [0] * n + [1] * m, [0] * (n + m))
    if k + j in (0, n + m):
        assert p is None
    elif n == m:
        assert p == pytest.approx(fisher_exact([[k, n - k], [j, m - j]]).pvalue)
    else:
        assert p is not None
        assert 0 < p <= 1


def test_many_levels_agree_with_the_chi_square_limit() -> None:
    failures = [12, 20, 30, 18]
    failed = [i < k for k in failures for i in range(100)]
    levels = [level for level in range(4) for _ in range(100)]
    mean = sum(failures) / 4
    statistic = sum((k - mean) ** 2 for k in failures) / (mean * (400 - 80) / 400) * 399 / 400
    expected = chi2.sf(statistic, 3)
    assert compute_association_p(failed, levels, [0] * 400) == pytest.approx(expected, abs=0.008)


def test_a_trend_agrees_with_its_normal_limit() -> None:
    failures = [14, 18, 24, 24]
    failed = [i < k for k in failures for i in range(100)]
    levels = [level for level in range(4) for _ in range(100)]
    trend = sum(level * (k - 20) for level, k in enumerate(failures))
    variance = 80 * 320 / 399 * 1.25
    expected = 2 * norm.sf(trend / math.sqrt(variance))
    found = compute_association_p(failed, levels, [0] * 400, ordered=True)
    assert found == pytest.approx(expected, abs=0.02)


def test_a_level_that_never_varies_within_strata_cannot_be_tested() -> None:
    assert compute_association_p([True, False] * 4, [0] * 4 + [1] * 4, [0] * 4 + [1] * 4) is None
    with pytest.raises(CountError, match="differ in length"):
        compute_association_p([True], [0, 1], [0])


@pytest.mark.parametrize("text", ["1010101010", "1110000000", "0001110001", "1000000001"])
def test_the_runs_test_is_the_share_of_all_orders(text: str) -> None:
    def runs(order: tuple[str, ...]) -> int:
        return len(list(itertools.groupby(order)))

    seen = runs(tuple(text))
    every = [
        runs(tuple("1" if i in places else "0" for i in range(len(text))))
        for places in itertools.combinations(range(len(text)), text.count("1"))
    ]
    tails = [sum(r <= seen for r in every), sum(r >= seen for r in every)]
    expected = min(1.0, 2 * min(tails) / len(every))
    assert compute_runs_p([c == "1" for c in text]) == pytest.approx(expected)


def test_the_runs_test_is_fast_for_a_hundred_thousand_attempts() -> None:
    rng = np.random.default_rng(3)
    failed = [bool(x) for x in rng.random(100_000) < 0.2]
    began = time.perf_counter()
    p = compute_runs_p(failed)
    assert time.perf_counter() - began < 1
    assert p is not None
    assert p > 0.01


def test_no_order_is_seen_where_all_or_none_failed() -> None:
    assert compute_runs_p([]) is None
    assert compute_runs_p([True] * 5) is None
    assert compute_runs_p([False] * 5) is None


def test_failures_that_follow_a_device_name_it_and_its_worst_level() -> None:
    found = attribute_failures(failing([i // 2 % 4 == 3 for i in range(N)]), factors())
    assert found.verdict is Follows.FACTOR
    assert found.named == ("device",)
    assert found.sentence.startswith("failures follow device: most with gpu3, ")
    assert "Holm over 3 factors" in found.sentence


def test_failures_late_in_the_run_follow_the_position() -> None:
    found = attribute_failures(failing([i > N // 2 for i in range(N)]), factors())
    assert found.named == ("position",)
    assert "of 10" in found.sentence


def test_failures_that_follow_nothing_say_with_what_power() -> None:
    found = attribute_failures(failing([False] * N, seed=3), factors())
    assert found.verdict is Follows.NOTHING
    assert "follow nothing recorded" in found.sentence
    assert "between halves of the attempts would have been found with 80 % power" in found.sentence


@pytest.mark.parametrize("follows", [True, False])
def test_a_perfectly_confounded_pair_is_always_called_so(follows: bool) -> None:
    twin = Factor("cache", [i % 2 == 0 for i in range(N)])
    found = attribute_failures(failing([bool(follows and i % 2) for i in range(N)]), factors(twin))
    assert "confounded" in found.sentence
    assert "order and cache" in found.sentence
    assert (found.verdict is Follows.CONFOUNDED) == follows


def test_a_confounded_pair_is_told_even_where_failures_follow_another_factor() -> None:
    twin = Factor("cache", [i % 2 == 0 for i in range(N)])
    found = attribute_failures(failing([i // 2 % 4 == 3 for i in range(N)]), factors(twin))
    assert found.named == ("device",)
    assert found.sentence.endswith("confounded: order and cache vary together")


def test_an_axis_that_each_device_saw_one_value_of_is_confounded_with_it() -> None:
    device = Factor("device", [(i % 2, i // 2 % 2) for i in range(N)])
    order = factors()[0]
    found = attribute_failures(failing([i % 2 == 1 for i in range(N)]), [order, device])
    assert found.verdict is Follows.CONFOUNDED
    assert set(found.named) == {"order", "device"}


def test_a_node_is_named_before_the_devices_on_it() -> None:
    node = Factor("node", [i // 4 % 2 for i in range(N)])
    found = attribute_failures(failing([i // 4 % 2 == 1 for i in range(N)]), factors(node))
    assert found.named == ("node",)


def test_factors_that_do_not_vary_or_never_repeat_are_left_out() -> None:
    constant, unique = Factor("node", ["n0"] * N), Factor("attempt", list(range(N)))
    found = attribute_failures([True] + [False] * (N - 1), [constant, unique])
    assert found.verdict is Follows.CANNOT_SAY
    assert "no recorded factor varies" in found.sentence


@pytest.mark.parametrize("outcome", [True, False])
def test_where_all_or_none_failed_nothing_can_be_followed(outcome: bool) -> None:
    found = attribute_failures([outcome] * N, factors())
    assert found.verdict is Follows.CANNOT_SAY


def test_no_attempts_are_a_cannot_say_and_uneven_factors_an_error() -> None:
    assert attribute_failures([], [Factor("order", [])]).verdict is Follows.CANNOT_SAY
    with pytest.raises(CountError, match="a value for each attempt"):
        attribute_failures([True], [Factor("order", [])])


def two_axes() -> tuple[list[Factor], list[str], list[str]]:
    """200 attempts of two orders and two backends, in turn."""
    order = ["ascending", "descending"] * 100
    backend = ["fa3", "fa3", "triton", "triton"] * 50
    pair = [Factor("order", order, axis=True), Factor("backend", backend, axis=True)]
    return pair, order, backend


def test_a_fault_that_needs_two_values_names_both_axes_together() -> None:
    axes, order, backend = two_axes()
    bad = [o == "ascending" and b == "fa3" for o, b in zip(order, backend, strict=True)]
    found = attribute_failures(failing(bad, 2), axes)
    assert found.named == ("order", "backend")
    assert found.verdict is Follows.FACTOR
    assert "order and backend together: most with ascending and fa3" in found.sentence
    assert [t.joint for t in found.tested] == [False, False, True]


def test_a_crossover_without_any_effect_of_one_axis_is_found() -> None:
    axes, order, backend = two_axes()
    bad = [(o == "ascending") == (b == "fa3") for o, b in zip(order, backend, strict=True)]
    found = attribute_failures(failing(bad, 3), axes)
    assert found.named == ("order", "backend")
    assert "together" in found.sentence


def test_one_axis_alone_is_not_called_a_pair() -> None:
    axes, order, _ = two_axes()
    found = attribute_failures(failing([o == "ascending" for o in order], 4), axes)
    assert found.named == ("order",)


def test_rates_that_add_are_additive_and_others_are_not() -> None:
    one, other = [0, 0, 1, 1] * 100, [0, 1, 0, 1] * 100
    added = [i // 4 % 20 < (1, 5, 5, 9)[i % 4] for i in range(400)]
    single = [i // 4 % 20 < 8 and i % 4 == 3 for i in range(400)]
    sums, needs_both = (compute_additivity_p(f, one, other) for f in (added, single))
    assert sums is not None
    assert needs_both is not None
    assert needs_both < 1e-6 < 0.05 < sums
    assert compute_additivity_p([True, False], [0, 1], [0, 1]) is None


def test_a_device_whose_zygotes_explain_it_is_no_device() -> None:
    """Two of eight zygotes are bad and happen to be on one device."""
    zygote = [i // 30 for i in range(N)]
    device = Factor("device", [z // 2 for z in zygote], origin=Origin.GANG)
    nested = Factor("zygote", zygote, origin=Origin.ZYGOTE)
    found = attribute_failures(failing([z in (0, 1) for z in zygote]), [device, nested])
    assert found.verdict is Follows.CONFOUNDED
    assert set(found.named) == {"device", "zygote"}


def test_a_bad_device_of_many_zygotes_is_named() -> None:
    zygote = [i // 10 for i in range(N)]
    device = Factor("device", [z // 6 for z in zygote], origin=Origin.GANG)
    nested = Factor("zygote", zygote, origin=Origin.ZYGOTE)
    found = attribute_failures(failing([z < 6 for z in zygote]), [device, nested])
    assert found.named == ("device",)


def test_weights_share_the_error_and_equal_ones_change_nothing() -> None:
    ps = [0.01, 0.2, 0.03]
    assert adjust_holm(ps, [2.0, 2.0, 2.0]) == adjust_holm(ps)
    assert adjust_holm([0.01, 0.01], [1.0, 0.5]) == pytest.approx([0.015, 0.015])
    assert adjust_holm([0.01, 0.02], [0.5, 1.5]) == pytest.approx([2 / 75, 2 / 75])
    axis, device = (
        Factor("a", [0, 1] * 4, axis=True),
        Factor("device", [0, 0, 1, 1] * 2, weight=0.25),
    )
    assert list_weights(collect_groups([axis, device])) == [0.5, 0.25]
    axes = [axis, Factor("b", [0, 0, 1, 1] * 2, axis=True)]
    assert list_weights(collect_groups(axes)) == pytest.approx([1 / 3] * 3)

"""Two cells: tests, intervals, corrections and sentences, against reference values."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import boschloo_exact, fisher_exact

from harness.stats.contrasts import (
    Comparison,
    Contrast,
    Finding,
    adjust_holm,
    compare_rates,
    compute_newcombe,
)
from harness.stats.infrastructure import (
    compare_worst_case,
    compute_infra_share_p,
    find_infra_difference,
)
from harness.stats.intervals import CountError, Interval
from harness.stats.planned import CellOutcomes
from harness.stats.wording import describe_contrast, describe_infra_difference

# k, n, reference k, reference n, Boschloo two-sided, Newcombe low, high
REFERENCE = [
    (2, 4, 0, 4, 0.1785, -0.1021, 0.8500),
    (5, 6, 0, 3, 0.0302, 0.1458, 0.9699),
    (4, 20, 0, 20, 0.0610, -0.0005, 0.4160),
    (5, 15, 0, 15, 0.0177, 0.0603, 0.5829),
    (5, 50, 0, 50, 0.0352, 0.0090, 0.2136),
    (6, 50, 0, 50, 0.0173, 0.0243, 0.2380),
    (7, 50, 1, 50, 0.0368, 0.0096, 0.2430),
    (10, 50, 2, 50, 0.0210, 0.0311, 0.2935),
    (10, 50, 5, 50, 0.1933, -0.0434, 0.2421),
    (15, 50, 5, 50, 0.0132, 0.0426, 0.3487),
]
PUBLISHED_DIFFERENCES = [  # Newcombe 1998, method 10
    (56, 70, 48, 80, 0.0524, 0.3339),
    (9, 10, 3, 10, 0.1705, 0.8090),
    (5, 56, 0, 29, -0.0381, 0.1926),
    (0, 10, 0, 10, -0.2775, 0.2775),
    (10, 10, 0, 10, 0.6075, 1.0),
]
ARM = st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def cell(infra: int, valid: int) -> CellOutcomes:
    return CellOutcomes([None] * infra + [False] * valid)


@pytest.mark.parametrize(("k", "n", "rk", "rn", "p", "low", "high"), REFERENCE)
def test_a_comparison_has_its_reference_values(
    k: int, n: int, rk: int, rn: int, p: float, low: float, high: float
) -> None:
    found = compare_rates(k, n, rk, rn)
    assert found.test == "Boschloo"
    assert found.p == pytest.approx(p, abs=6e-5)
    assert (found.difference.low, found.difference.high) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(("k", "n", "rk", "rn", "low", "high"), PUBLISHED_DIFFERENCES)
def test_newcombe_has_its_published_values(
    k: int, n: int, rk: int, rn: int, low: float, high: float
) -> None:
    found = compute_newcombe(k, n, rk, rn)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


def test_the_groups_are_the_columns_of_scipys_table() -> None:
    assert compare_rates(6, 16, 3, 33).p == pytest.approx(
        boschloo_exact([[6, 3], [10, 30]]).pvalue, abs=1e-9
    )
    assert compare_rates(6, 16, 3, 33).p == pytest.approx(0.02541, abs=1e-5)


def test_scipys_documented_boschloo_anchor_is_half_of_ours() -> None:
    assert compare_rates(74, 117, 31, 63).p == pytest.approx(2 * 0.035564, rel=0.02)


def test_above_1000_attempts_the_test_is_fishers_and_says_so() -> None:
    found = compare_rates(20, 1001, 5, 1001)
    assert found.test == "Fisher"
    assert found.p == pytest.approx(fisher_exact([[20, 5], [981, 996]]).pvalue, abs=1e-9)


@given(ARM, ARM)
@settings(max_examples=25, deadline=None)
def test_exchanging_the_arms_mirrors_the_comparison(
    arm: tuple[int, int], reference: tuple[int, int]
) -> None:
    one, other = compare_rates(*arm, *reference), compare_rates(*reference, *arm)
    assert one.p == pytest.approx(other.p, abs=1e-4)
    assert one.effect == pytest.approx(-other.effect)
    assert one.difference.low == pytest.approx(-other.difference.high)
    assert one.difference.low <= one.effect + 1e-12
    assert -1 <= one.difference.low <= one.difference.high <= 1


def test_cells_where_nothing_or_everything_failed_do_not_differ() -> None:
    assert compare_rates(0, 50, 0, 50).p == 1.0
    assert compare_rates(50, 50, 50, 50).p == 1.0


@pytest.mark.parametrize("counts", [(0, 0, 1, 2), (1, 2, 0, 0), (3, 2, 0, 2), (-1, 2, 0, 2)])
def test_empty_and_impossible_cells_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(CountError, match="cannot be compared"):
        compare_rates(*counts)


def test_holm_has_its_reference_values() -> None:
    adjusted = adjust_holm([0.0563, 0.0277, 0.0042, 0.5, 0.0228, 0.1])
    assert adjusted == pytest.approx([0.1689, 0.1140, 0.0252, 0.5, 0.1140, 0.2])
    assert adjust_holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_never_lowers_a_p_and_keeps_their_order(ps: list[float]) -> None:
    adjusted = adjust_holm(ps)
    assert all(p <= a <= 1 for p, a in zip(ps, adjusted, strict=True))
    ranked = sorted(range(len(ps)), key=ps.__getitem__)
    assert [adjusted[i] for i in ranked] == sorted(adjusted)


def _contrast(
    found: Comparison | None,
    finding: Finding,
    p: float = 0.021,
    reason: str = "",
    outlook: str = "",
) -> Contrast:
    names = "descending", "ascending", "fa3"
    return Contrast(*names, found, p, finding, reason, outlook)


def test_a_difference_reads_as_which_fails_more_often() -> None:
    found = compare_rates(10, 50, 2, 50)
    assert describe_contrast(_contrast(found, Finding.DIFFERENT, found.p)) == (
        "descending fails more often than ascending for fa3: 10/50 against 2/50, "
        "difference 16 points [3, 29], p = 0.021 (Boschloo)"
    )


def test_a_difference_the_other_way_round_keeps_its_points_positive() -> None:
    found = compare_rates(2, 50, 10, 50)
    assert describe_contrast(_contrast(found, Finding.DIFFERENT, found.p)) == (
        "descending fails less often than ascending for fa3: 2/50 against 10/50, "
        "difference 16 points [3, 29], p = 0.021 (Boschloo)"
    )


def test_the_other_findings_never_name_a_worse_cell() -> None:
    found = compare_rates(1, 4, 0, 4)
    undecided = describe_contrast(
        _contrast(found, Finding.UNDECIDED, 1.0, outlook="more would help")
    )
    assert undecided == (
        "undecided: descending against ascending for fa3, 1/4 against 0/4; more would help"
    )
    cannot = describe_contrast(_contrast(found, Finding.CANNOT_SAY, 1.0, reason="infra"))
    assert cannot == (
        "cannot say whether descending and ascending differ for fa3: 1/4 against 0/4, infra"
    )
    nothing = describe_contrast(_contrast(None, Finding.CANNOT_SAY, 1.0, reason="no valid attempt"))
    assert nothing == "cannot compare descending with ascending for fa3: no valid attempt"


def test_infrastructure_that_depends_on_the_cell_is_told() -> None:
    assert find_infra_difference(cell(0, 50), cell(0, 50)) is None
    assert find_infra_difference(cell(1, 50), cell(2, 50)) is None
    found = find_infra_difference(cell(10, 40), cell(0, 50))
    assert found is not None
    assert found < 0.01
    told = describe_infra_difference(cell(10, 40), cell(0, 50), found)
    assert "10/50 against 0/50" in told


def test_the_share_of_infrastructure_is_tested_across_all_cells() -> None:
    assert compute_infra_share_p([(0, 50)] * 4) == 1.0
    assert compute_infra_share_p([(2, 48), (1, 49), (2, 48), (3, 47)]) > 0.3
    assert compute_infra_share_p([(0, 50), (0, 50), (0, 50), (9, 41)]) < 0.001


def test_infrastructure_counts_against_the_difference_in_the_worst_case() -> None:
    found = compare_rates(10, 48, 2, 49)
    worst = compare_worst_case(found, 2, 1)
    assert (worst.k, worst.n, worst.reference_k, worst.reference_n) == (10, 50, 3, 50)
    assert worst.p > found.p
    assert compare_worst_case(found, 0, 0) is found
    mirrored = compare_worst_case(compare_rates(2, 49, 10, 48), 1, 2)
    assert (mirrored.k, mirrored.reference_k) == (3, 10)


def test_bounds_that_cross_support_nothing() -> None:
    assert compare_worst_case(compare_rates(3, 10, 0, 40), 0, 40).p == 1.0


def test_points_are_of_the_interval_given() -> None:
    found = Comparison(0, 5, 5, 5, Interval(-1.0, -0.4, 0.95, "newcombe"), 0.01, "Boschloo")
    told = describe_contrast(_contrast(found, Finding.DIFFERENT))
    assert "difference 100 points [40, 100]" in told

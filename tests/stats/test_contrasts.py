"""Two cells: tests, differences and the correction, against reference values."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats.contrasts import compare, holm, newcombe
from harness.stats.infra import infra_differs
from harness.stats.intervals import CountError


@pytest.mark.parametrize(
    ("counts", "p", "low", "high"),
    [
        ((2, 4, 0, 4), 0.1785, -0.1021, 0.8500),
        ((5, 6, 0, 3), 0.0302, 0.1458, 0.9699),
        ((4, 20, 0, 20), 0.0610, -0.0005, 0.4160),
        ((5, 15, 0, 15), 0.0177, 0.0603, 0.5829),
        ((5, 50, 0, 50), 0.0352, 0.0090, 0.2136),
        ((6, 50, 0, 50), 0.0173, 0.0243, 0.2380),
        ((7, 50, 1, 50), 0.0368, 0.0096, 0.2430),
        ((10, 50, 2, 50), 0.0210, 0.0311, 0.2935),
        ((10, 50, 5, 50), 0.1933, -0.0434, 0.2421),
        ((15, 50, 5, 50), 0.0132, 0.0426, 0.3487),
    ],
)
def test_boschloo_and_newcombe_have_the_reference_values(
    counts: tuple[int, int, int, int], p: float, low: float, high: float
) -> None:
    found = compare(*counts)
    assert found.test == "Boschloo"
    assert found.p == pytest.approx(p, abs=1e-4)
    assert (found.difference.low, found.difference.high) == pytest.approx((low, high), abs=5.1e-5)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 10), 0.6075, 1),
    ],
)
def test_newcombe_has_its_papers_values(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    found = newcombe(*counts)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5.1e-5)


def test_above_the_exact_limit_a_cheaper_test_is_named() -> None:
    found = compare(30, 300, 10, 300)
    assert found.test == "Fisher"
    assert found.p < 0.01


@pytest.mark.parametrize("counts", [(0, 9, 0, 9), (9, 9, 9, 9)])
def test_cells_that_agree_wholly_are_no_evidence(counts: tuple[int, int, int, int]) -> None:
    assert compare(*counts).p == 1


@pytest.mark.parametrize("counts", [(0, 0, 1, 5), (6, 5, 1, 5), (-1, 5, 1, 5)])
def test_an_empty_or_impossible_arm_is_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(CountError):
        compare(*counts)


def test_holm_has_the_reference_values() -> None:
    found = holm([0.0563, 0.0277, 0.0042, 0.5, 0.0228, 0.1])
    assert found == pytest.approx([0.1689, 0.1140, 0.0252, 0.5, 0.1140, 0.2], abs=1e-4)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_only_raises_p_values_and_keeps_their_order(ps: list[float]) -> None:
    adjusted = holm(ps)
    assert all(p <= q <= 1 for p, q in zip(ps, adjusted, strict=True))
    ranked = sorted(range(len(ps)), key=ps.__getitem__)
    assert all(adjusted[a] <= adjusted[b] for a, b in itertools.pairwise(ranked))


@given(st.integers(1, 25), st.data())
@settings(max_examples=25, deadline=None)
def test_comparing_the_other_way_round_turns_the_sign_alone(n: int, data: st.DataObject) -> None:
    k, j = data.draw(st.integers(0, n)), data.draw(st.integers(0, n))
    one, other = compare(k, n, j, n), compare(j, n, k, n)
    assert one.p == pytest.approx(other.p, abs=1e-6)
    assert one.difference.low == pytest.approx(-other.difference.high)


def test_infrastructure_that_follows_the_cell_is_said() -> None:
    assert infra_differs(0, 50, 0, 50) == ""
    assert infra_differs(2, 48, 1, 49) == ""
    assert "12/50 against 0/50" in infra_differs(12, 38, 0, 50)

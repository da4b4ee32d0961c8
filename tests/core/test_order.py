"""Capture orders and the ordering gate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import UsageError
from harness.core.order import (
    CaptureOrder,
    capture_sequence,
    decide_order,
    is_in_ci,
    name_order,
    parse_order,
)

SIZES = st.sets(st.integers(1, 512), min_size=2, max_size=20)


@pytest.mark.parametrize("role", [0, 1, 2])
def test_the_gate_is_ascending_when_any_role_is_fa3_in_ci(role: int) -> None:
    roles = ["fa2", "torch_native", "fa2"]
    roles[role] = "fa3"
    assert decide_order(True, *roles) is CaptureOrder.ASCENDING
    assert decide_order(False, *roles) is CaptureOrder.DESCENDING


def test_the_gate_is_descending_without_fa3() -> None:
    assert decide_order(True, "fa2", None, None) is CaptureOrder.DESCENDING


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"CI": "true"}, True),
        ({"CI": "1"}, True),
        ({"CI": "YES"}, True),
        ({"CI": "no"}, False),
        ({"CI": "true", "HARNESS_IS_IN_CI": "0"}, False),
        ({"HARNESS_IS_IN_CI": "yes"}, True),
    ],
)
def test_being_in_ci_is_read_from_our_own_variable_first(
    environ: dict[str, str], expected: bool
) -> None:
    assert is_in_ci(environ) is expected


@given(SIZES, st.integers())
def test_every_order_holds_each_size_once(sizes: set[int], seed: int) -> None:
    for order in (CaptureOrder.ASCENDING, CaptureOrder.DESCENDING, CaptureOrder.SHUFFLED):
        assert sorted(capture_sequence(order, sizes, seed)) == sorted(sizes)


@given(SIZES)
def test_what_is_captured_in_an_order_is_observed_as_that_order(sizes: set[int]) -> None:
    for order in (CaptureOrder.ASCENDING, CaptureOrder.DESCENDING):
        assert name_order(capture_sequence(order, sizes, 0)) == order.value


@given(SIZES, st.integers())
def test_a_shuffle_depends_on_the_seed_alone(sizes: set[int], seed: int) -> None:
    first = capture_sequence(CaptureOrder.SHUFFLED, sizes, seed)
    assert first == capture_sequence(CaptureOrder.SHUFFLED, sorted(sizes), seed)


def test_an_unresolved_gate_has_no_sequence() -> None:
    with pytest.raises(ValueError, match="resolve the gate"):
        capture_sequence(CaptureOrder.GATE, [1, 2], 0)


def test_an_unknown_order_names_those_that_exist() -> None:
    with pytest.raises(UsageError, match=r"'upwards'.*ascending, descending, shuffled, gate"):
        parse_order("upwards")


@pytest.mark.parametrize(
    ("trace", "name"), [([], "none"), ([4], "single"), ([1, 4, 2], "mixed"), ([1, 2, 2], "mixed")]
)
def test_a_trace_that_is_no_order_is_named_as_what_it_is(trace: list[int], name: str) -> None:
    assert name_order(trace) == name

"""Axes and cells."""

import pytest

from harness.core.cell import Axis, Cell, check_distinct, cross, parse_axis, read_cell_dict
from harness.core.errors import UsageError


def test_cells_are_every_combination_with_the_first_axis_slowest() -> None:
    cells = cross([Axis("order", ("a", "b")), Axis("tp", (1, 2))])
    assert [tuple(cell.as_dict().values()) for cell in cells] == [
        ("a", 1), ("a", 2), ("b", 1), ("b", 2),
    ]  # fmt: skip


def test_equal_cells_have_equal_keys_whatever_the_axis_order() -> None:
    assert Cell((("a", 1), ("b", "x"))).key == Cell((("b", "x"), ("a", 1))).key


def test_a_cell_survives_its_dict() -> None:
    cell = Cell((("order", "ascending"), ("tp", 2)))
    assert read_cell_dict(cell.as_dict()) == cell


def test_an_env_axis_sets_the_environment_and_nothing_else_does() -> None:
    axis = parse_axis("CUDA_LAUNCH_BLOCKING=0,1", prefix="env:")
    cell = cross([Axis("tp", (2,)), axis])[1]
    assert cell.get_environment() == {"CUDA_LAUNCH_BLOCKING": "1"}


@pytest.mark.parametrize("text", ["page_size", "=1", "1x=2", "a b=1", ""])
def test_an_axis_without_name_and_values_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="NAME=VALUE"):
        parse_axis(text)


@pytest.mark.parametrize(
    ("text", "told"), [("a=1,,2", "empty value"), ("a=1,1", "stands twice"), ("a=", "empty")]
)
def test_stray_commas_and_repeats_are_refused(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_axis(text)


def test_the_same_axis_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="'tp' is given twice"):
        check_distinct([Axis("tp", (1,)), Axis("tp", (2,))])

"""Cells that could not run here are told in one line for each reason."""

from itertools import product

from harness.analysis.report_model import RefusedCell
from harness.core.cell import Cell
from harness.report.refused_cells import group_refused

PINNED = "backend is pinned to 'torch_native'"


def refuse(order: str, backend: str, reason: str = PINNED) -> RefusedCell:
    axes = (("order", order), ("backend", backend), ("tp", 2))
    return RefusedCell("s.py", Cell(axes), reason)


def test_all_combinations_of_some_values_are_one_line() -> None:
    cells = [refuse(*one) for one in product(("ascending", "descending"), ("fa2", "fa3"))]
    (group,) = group_refused(cells)
    assert group.text == "ascending, descending · fa2, fa3 · tp 2"
    assert len(group.labels) == 4


def test_cells_that_are_no_product_are_listed() -> None:
    (group,) = group_refused([refuse("ascending", "fa2"), refuse("descending", "fa3")])
    assert group.text == "ascending · fa2 · tp 2; descending · fa3 · tp 2"


def test_another_reason_is_another_line() -> None:
    groups = group_refused([refuse("ascending", "fa2"), refuse("ascending", "fa3", "no kernel")])
    assert [group.reason for group in groups] == [PINNED, "no kernel"]


def test_labels_of_unequal_length_are_listed() -> None:
    short = RefusedCell("s.py", Cell((("order", "ascending"),)), PINNED)
    (group,) = group_refused([short, refuse("descending", "fa2")])
    assert group.text == "ascending; descending · fa2 · tp 2"

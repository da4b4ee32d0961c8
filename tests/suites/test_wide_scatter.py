"""Fault A1 writes past its table where a branch spans more pages, whatever the order."""

import json

import pytest
import torch
from faults import test_a1_wide_scatter as fault
from faults.device_memory import DeviceMemory
from faults.planning import Moment, Step

from harness.engine.attention.base import AttentionShape
from harness.engine.oracles.greedy import WrongOutput

ROWS, STEPS = 4, 4


def change_neighbour(
    start: int, rows: int = ROWS, moment: Moment = Moment.REPLAY, page: int = 16
) -> int:
    """Plan drafts from a position on. Return what then stands behind the shortest table."""
    width = 4 if page > 1 else 64
    shape = AttentionShape(
        max_bs=ROWS, query_heads=1, kv_heads=1, head_dim=8, pages_per_row=width, page_size=page,
        device=torch.device("cpu"), dtype=torch.float32, branch_columns=STEPS + 1,
    )  # fmt: skip
    memory = DeviceMemory()
    pages = fault.ExpandedPages(shape, memory)
    neighbour = fault.open_workspace(memory).cut(1, shape.device).fill_(-7)
    table = torch.arange(10, 10 + ROWS * width).view(ROWS, width)
    positions = torch.zeros(ROWS, 1, dtype=torch.int64)
    positions[:rows] = start
    pages.plan(Step(positions, table, rows, moment, "draft"))
    return int(neighbour)


def test_a_branch_on_three_pages_writes_the_third_behind_a_table_of_two_columns() -> None:
    assert change_neighbour(8) == 10 + 3 * 4 + 2


@pytest.mark.parametrize(
    "sound",
    [
        {"start": 9},
        {"start": 8, "rows": ROWS - 1},
        {"start": 8, "moment": Moment.EAGER},
        {"start": 8, "page": 1},
    ],
    ids=["fewer pages", "last row is padding", "eager", "pages of one slot"],
)
def test_nothing_else_is_written_behind_it(sound: dict[str, object]) -> None:
    assert change_neighbour(**sound) == -7  # type: ignore[arg-type]


def test_pages_are_counted_where_they_change() -> None:
    assert fault.count_changes(torch.tensor([[3, 3, 5, 9, 9]])).tolist() == [[0, 0, 1, 2, 2]]


def answer(monkeypatch: pytest.MonkeyPatch, seed: int, **cell: object) -> None:
    monkeypatch.setenv("HARNESS_SEED", str(seed))
    monkeypatch.setenv("HARNESS_CELL", json.dumps(cell))
    monkeypatch.setenv("HARNESS_DEVICE", "cpu")
    fault.TestWideScatter.setUpClass()
    try:
        fault.TestWideScatter("test_answers_are_the_references").run_load()
    finally:
        fault.TestWideScatter.tearDownClass()


@pytest.mark.parametrize("order", ["descending", "ascending"])
def test_it_spoils_answers_in_both_orders(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WrongOutput):
        answer(monkeypatch, 7, order=order)


def test_without_branches_the_same_seed_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, 7, order="descending", spec_topk=1)

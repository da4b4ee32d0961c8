"""Gangs that share a GPU, and the factors that a stored run gives."""

from dataclasses import replace

from harness.analysis.attribution import attribute_run
from harness.analysis.lanes import Lane, assign_lanes
from harness.core.cell import Cell
from harness.core.statuses import AttemptStatus
from tests.driver.test_compare import row

CELLS = [Cell((("order", order),)) for order in ("ascending", "descending")]


def test_gangs_that_take_turns_are_one_lane_and_those_at_once_are_two() -> None:
    first = replace(row(0, CELLS[0], failed=False), wall_seconds=2.05, devices=["g"])
    alone = [replace(first, started=2.0 * i) for i in range(3)]
    assert [(lane.number, lane.others) for lane in assign_lanes(alone)] == [(0, 0)] * 3
    shared = [replace(one, started=one.started / 2) for one in alone]
    assert [(lane.number, lane.others) for lane in assign_lanes(shared)] == [(0, 0), (1, 1), (0, 1)]
    assert assign_lanes([]) == []
    assert Lane(("g",), 0, 1) == Lane(("g",), 0, 0)


def test_failures_of_attempts_that_share_a_gpu_follow_it() -> None:
    rows = []
    for i in range(120):
        # Every second pair of attempts runs side by side; there the second one fails.
        beside = i % 4 == 3
        began = 10.0 * i - 9.0 * beside
        status = AttemptStatus.FAILED if beside and i % 3 else AttemptStatus.PASSED
        rows.append(replace(row(i, CELLS[i % 2], failed=False), started=began, wall_seconds=5.0,
                            devices=["g"], status=status))  # fmt: skip
    found = attribute_run(rows)
    assert "others on its GPU" in found.named

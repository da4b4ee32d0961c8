"""The schedule: interleaved, seeded, resumable."""

import json

import pytest

from harness.core.cell import Cell
from harness.core.errors import UsageError
from harness.core.plan import (
    Plan,
    PlannedCell,
    check_repeats,
    plan_from_dict,
    plan_to_dict,
    schedule,
)


def make_plan(repeats: int = 5, *, seed: int = 7, fixed_seed: bool = False) -> Plan:
    cells = tuple(
        PlannedCell("s.py", Cell((("order", order), ("tp", 1)))) for order in ("a", "b", "c")
    )
    barred = PlannedCell("s.py", Cell((("order", "d"),)), refused="why")
    return Plan((*cells, barred), repeats, seed, fixed_seed, in_ci=False)


def test_every_block_holds_each_cell_once() -> None:
    queue = schedule(make_plan())
    for start in range(0, 15, 3):
        assert {a.cell.get("order") for a in queue[start : start + 3]} == {"a", "b", "c"}


def test_blocks_differ_in_their_order() -> None:
    queue = schedule(make_plan(20))
    orders = {tuple(a.cell.get("order") for a in queue[i : i + 3]) for i in range(0, 60, 3)}
    assert len(orders) > 1


def test_the_queue_follows_from_the_seed_alone() -> None:
    assert schedule(make_plan()) == schedule(make_plan())
    assert schedule(make_plan()) != schedule(make_plan(seed=8))


def test_every_attempt_has_a_seed_of_its_own_unless_it_is_fixed() -> None:
    assert len({a.seed for a in schedule(make_plan())}) == 15
    assert {a.seed for a in schedule(make_plan(fixed_seed=True))} == {7}


def test_a_plan_survives_the_store() -> None:
    plan = make_plan()
    assert plan_from_dict(json.loads(json.dumps(plan_to_dict(plan)))) == plan


@pytest.mark.parametrize("repeats", [0, -1, 100_001])
def test_repeats_outside_the_range_are_refused(repeats: int) -> None:
    with pytest.raises(UsageError, match=f"--repeats {repeats}"):
        check_repeats(repeats)

"""`harness capture-cost` end to end on recorded graphs, and what it says of figures given."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.analysis.capture_prediction import ONE_SIZE, describe_costs
from harness.cli.main import app
from harness.core.capture_cost import CaptureCost, Captured, read_cost
from harness.core.errors import UsageError

MIB = 1 << 20
GIB = 1 << 30
SUITE = "suites/test_graph_capture.py::TestGraphCapture"


def cost(
    order: str,
    max_bs: int,
    pool: int,
    unfit: str | None = None,
    cached: int = 0,
    graphs: str = "cuda",
) -> CaptureCost:
    total, used = 80 * GIB, 20 * GIB
    trace = (Captured("decode", max_bs, pool, total - used - pool - cached),)
    return CaptureCost(
        order, max_bs, graphs, pool, used, total, 16 * GIB, 4 * GIB, 1.0, trace, unfit
    )


def test_the_difference_is_said_absolutely_and_as_a_share_of_the_footprint() -> None:
    found = describe_costs(
        [cost("ascending", 5, 300 * MIB), cost("descending", 5, 100 * MIB)], None
    )
    assert found[0].startswith("max_bs 5: ascending takes 200.0 MiB of graph pool more than desc")
    assert "1.0 % of the footprint" in found[0]
    assert found[-1] == ONE_SIZE
    assert sum("no prediction" in sentence for sentence in found) == 2


def test_an_order_that_is_cheap_at_five_is_said_to_stop_fitting_first() -> None:
    costs = [
        cost(order, size, factor * size * MIB)
        for size in (5, 32, 64)
        for order, factor in (("ascending", 60), ("descending", 20))
    ]
    found = describe_costs(costs, 24 * GIB)
    assert "ascending: predicted to fit 24.00 GiB up to max_bs 68 and no further" in found[3]
    assert "descending: predicted to fit 24.00 GiB at least up to max_bs 128, 2 times" in found[4]
    assert ONE_SIZE not in found


def test_what_the_allocator_caches_bends_no_line() -> None:
    """Its cache jumps with the size; the most of it is taken as needed at every size."""
    costs = [
        cost("ascending", size, size * 60 * MIB, cached=cached)
        for size, cached in ((5, 0), (32, 900 * MIB), (64, GIB), (128, 0))
    ]
    (found,) = (one for one in describe_costs(costs, 28 * GIB) if "predicted" in one)
    assert "up to max_bs 119 and no further (21.00 GiB + 60.000 MiB x largest size" in found


@pytest.mark.parametrize(
    ("memory", "said"),
    [
        (None, "fit 80.00 GiB up to max_bs 102 and no further (20.00 GiB"),
        (60 * GIB, "fit 60.00 GiB up to max_bs 68 and no further (20.00 GiB"),
    ],
)
def test_an_arena_needs_what_it_held_and_another_memory_the_weights_too(
    memory: int | None, said: str
) -> None:
    """Never its peak and its pool: what is in use there is a part of the pool."""
    costs = [
        replace(cost("ascending", size, pool, graphs="recorded"), peak_bytes=pool)
        for size in (5, 32, 64)
        for pool in [size * 600 * MIB]
    ]
    (found,) = (one for one in describe_costs(costs, memory) if "predicted" in one)
    assert said in found


def test_a_size_at_which_memory_ran_out_is_said_and_not_fitted() -> None:
    costs = [cost("ascending", size, size * MIB) for size in (5, 16)]
    found = describe_costs([*costs, cost("ascending", 64, 0, "out of memory")], None)
    assert found[0] == "max_bs 64 ascending does not fit: out of memory"
    assert "3 sizes or more are needed, 2 fitted" in found[1]


def test_events_of_the_wrong_types_give_zeros() -> None:
    events: list[dict[str, Any]] = [
        {"event": "capture", "bs": "x"},
        {"event": "captured", "pool_bytes": None},
    ]
    read = read_cost("ascending", 4, events)
    assert (read.pool_bytes, read.trace[0].bs, read.footprint) == (0, 0, 0)


def test_orders_are_captured_in_fresh_processes_and_written_as_json(tmp_path: Path) -> None:
    target = tmp_path / "cost.json"
    done = CliRunner().invoke(
        app, ["capture-cost", SUITE, "--max-bs", "3", "--device", "cpu", "--json", str(target)]
    )
    assert done.exit_code == 0, done.output
    assert "recorded graphs" in done.output
    written = json.loads(target.read_text())
    assert written["schema"] == "harness.capture-cost/1"
    orders = {one["order"]: [g["bs"] for g in one["trace"][:3]] for one in written["costs"]}
    assert orders == {"ascending": [1, 2, 3], "descending": [3, 2, 1]}
    assert all(one["pool_bytes"] > 0 and one["weights"] > 0 for one in written["costs"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "needs a SUITE or --model"),
        (["suites/test_graph_capture.py"], "has several classes: name one of TestGraphCapture"),
        ([SUITE, "--max-bs", "0"], "give 1 or more"),
        ([SUITE, "--max-bs", "a"], "give whole numbers"),
        ([SUITE, "--order", "gate"], "give the orders themselves"),
        ([SUITE, "--arg", "x"], "write NAME=VALUE"),
        ([SUITE, "--arg", "tp=2"], "leave tp at 1"),
        ([SUITE, "--memory", "0"], "give GiB above 0"),
        ([SUITE, "--max-bs", "1", "--arg", "colour=1"], "engine argument 'colour'"),
    ],
)
def test_mistakes_are_named(options: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["capture-cost", *options, "--device", "cpu"])
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)

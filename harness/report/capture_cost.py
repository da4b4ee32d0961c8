"""`harness capture-cost` in words and as JSON: each a function of what was measured."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from harness.analysis.wording import format_percent
from harness.core.capture_cost import CaptureCost
from harness.stats.capacity import REACH, Prediction, predict

SCHEMA = "harness.capture-cost/1"
MIB = 1 << 20
GIB = 1 << 30

#: What follows from a single size is said with the case in which it misled.
ONE_SIZE = (
    "one size says nothing about larger ones: 0.21 GB at a largest batch of 5 was once read as "
    "cheap, and out-of-memory failures followed; give --max-bs several sizes"
)


def capacity_of(costs: Sequence[CaptureCost], memory: int | None) -> int:
    """The bytes that must hold everything: as given, else the device's."""
    return memory or max((cost.total_bytes for cost in costs), default=0)


def predictions(costs: Sequence[CaptureCost], memory: int | None) -> dict[str, Prediction]:
    """Per order, the largest size that fits, from the sizes that did."""
    capacity, fitted = capacity_of(costs, memory), [cost for cost in costs if cost.unfit is None]
    return {
        order: predict(_choose_needed([c for c in fitted if c.order == order], memory), capacity)
        for order in orders_of(costs)
    }


def _choose_needed(costs: Sequence[CaptureCost], memory: int | None) -> dict[int, int]:
    """Largest size -> bytes that one order needs.

    An arena holds graphs alone and nothing is given back: what it held, or for another memory
    weights, keys and values too. On a device the most in use and the pools, whose free blocks
    serve nobody else. What was held beyond that at the worst size is added to all: contexts, other
    processes, and the allocator's cache, which follows no line.
    """
    if any(cost.graphs == "recorded" for cost in costs):
        return {cost.max_bs: cost.footprint if memory else cost.held for cost in costs}
    used = {cost.max_bs: cost.peak_bytes + cost.pool_bytes for cost in costs}
    beyond = max((cost.held - used[cost.max_bs] for cost in costs), default=0)
    return {size: count + max(0, beyond) for size, count in used.items()}


def orders_of(costs: Sequence[CaptureCost]) -> list[str]:
    """The orders measured, as first met."""
    return list(dict.fromkeys(cost.order for cost in costs))


def sentences(costs: Sequence[CaptureCost], memory: int | None) -> list[str]:
    """What was found, one finding a sentence."""
    sizes = sorted({cost.max_bs for cost in costs})
    found = [f"max_bs {c.max_bs} {c.order} does not fit: {c.unfit}" for c in costs if c.unfit]
    for size in sizes:
        found += _differences([c for c in costs if c.max_bs == size and c.unfit is None])
    for order, prediction in predictions(costs, memory).items():
        found.append(_format_prediction(order, prediction, capacity_of(costs, memory), sizes[-1]))
    return found + ([ONE_SIZE] if len(sizes) == 1 else [])


def _differences(fitted: Sequence[CaptureCost]) -> list[str]:
    """Each order against the cheapest of one size."""
    if len(fitted) < 2:
        return []
    base = min(fitted, key=lambda cost: cost.pool_bytes)
    return [_difference(cost, base) for cost in fitted if cost is not base]


def _difference(cost: CaptureCost, base: CaptureCost) -> str:
    more = cost.pool_bytes - base.pool_bytes
    where = f"max_bs {cost.max_bs}: {cost.order} takes"
    if not more:
        return f"{where} as much graph pool as {base.order}, {_mib(base.pool_bytes)} MiB"
    return (
        f"{where} {_mib(more)} MiB of graph pool more than {base.order}, "
        f"{format_percent(more / base.footprint)} of the footprint "
        f"(weights, KV and graphs: {base.footprint / GIB:.2f} GiB)"
    )


def _format_prediction(order: str, prediction: Prediction, capacity: int, largest: int) -> str:
    line, room = prediction.line, f"{capacity / GIB:.2f} GiB"
    if prediction.refused is not None or line is None or prediction.fits is None:
        return f"{order}: no prediction of the size that no longer fits: {prediction.refused}"
    model = (
        f"{line.intercept / GIB:.2f} GiB + {line.slope / MIB:.3f} MiB x {line.model}, "
        f"worst residual {_mib(round(line.residual))} MiB"
    )
    if prediction.at_least:
        return (
            f"{order}: predicted to fit {room} at least up to max_bs {prediction.fits}, {REACH} "
            f"times the largest size measured ({model}); no line is trusted further: measure "
            "larger sizes"
        )
    reach = f", {prediction.fits / largest:.1f} times the largest size measured"
    return (
        f"{order}: predicted to fit {room} up to max_bs {prediction.fits} and no further "
        f"({model}{reach if prediction.fits > largest else ''})"
    )


def print_costs(console: Console, costs: Sequence[CaptureCost], memory: int | None) -> None:
    """The table, the trace at the largest size, and the sentences."""
    table = Table(box=box.SIMPLE_HEAD)
    columns = ("max_bs", "order", "pool MiB", "peak MiB", "held MiB", "of footprint", "s")
    for name in columns:
        table.add_column(name, justify="left" if name == "order" else "right")
    for cost in costs:
        table.add_row(str(cost.max_bs), cost.order, *_format_cells(cost))
    console.print(table)
    _print_trace(console, costs)
    for sentence in sentences(costs, memory):
        console.print(f"• {sentence}", markup=False, soft_wrap=True)


def _format_cells(cost: CaptureCost) -> list[str]:
    if cost.unfit is not None:
        return ["does not fit", "", "", "", ""]
    return [
        _mib(cost.pool_bytes),
        _mib(cost.peak_bytes),
        _mib(cost.held),
        format_percent(cost.pool_bytes / cost.footprint) if cost.footprint else "-",
        f"{cost.seconds:.1f}",
    ]


def _print_trace(console: Console, costs: Sequence[CaptureCost]) -> None:
    """Pool bytes after each graph, per order, at the largest size that all orders were given."""
    size = max((cost.max_bs for cost in costs), default=0)
    at_size = [cost for cost in costs if cost.max_bs == size and cost.trace]
    if not at_size:
        return
    table = Table(
        title=f"pool MiB after each capture, max_bs {size}", title_justify="left", box=box.SIMPLE
    )
    for cost in at_size:
        table.add_column(f"{cost.order}: graph")
        table.add_column("MiB", justify="right")
    for index in range(max(len(cost.trace) for cost in at_size)):
        row: list[str] = []
        for cost in at_size:
            there = cost.trace[index] if index < len(cost.trace) else None
            row += [f"{there.role} {there.bs}", _mib(there.pool_bytes)] if there else ["", ""]
        table.add_row(*row)
    console.print(table)


def to_json(
    costs: Sequence[CaptureCost], memory: int | None, arguments: dict[str, Any]
) -> dict[str, Any]:
    """Schema `harness.capture-cost/1`, as docs/how-to/capture-cost.md has it."""
    return {
        "schema": SCHEMA,
        "engine_args": arguments,
        "capacity_bytes": capacity_of(costs, memory),
        "costs": [
            {**dataclasses.asdict(c), "footprint": c.footprint, "held": c.held} for c in costs
        ],
        "predictions": {o: dataclasses.asdict(p) for o, p in predictions(costs, memory).items()},
        "sentences": sentences(costs, memory),
    }


def _mib(count: int) -> str:
    return f"{count / MIB:.1f}"

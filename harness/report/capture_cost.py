"""`harness capture-cost` on a terminal and as JSON."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from harness.analysis.capture_prediction import (
    describe_costs,
    find_capacity,
    format_mib,
    predict_sizes,
)
from harness.analysis.wording import format_percent
from harness.core.capture_cost import CaptureCost

SCHEMA = "harness.capture-cost/1"


def print_costs(console: Console, costs: Sequence[CaptureCost], memory: int | None) -> None:
    """Print the table, the trace at the largest size, and the sentences."""
    table = Table(box=box.SIMPLE_HEAD)
    columns = ("max_bs", "order", "pool MiB", "peak MiB", "held MiB", "of footprint", "s")
    for name in columns:
        table.add_column(name, justify="left" if name == "order" else "right")
    for cost in costs:
        table.add_row(str(cost.max_bs), cost.order, *_format_cells(cost))
    console.print(table)
    _print_trace(console, costs)
    for sentence in describe_costs(costs, memory):
        console.print(f"• {sentence}", markup=False, soft_wrap=True)


def _format_cells(cost: CaptureCost) -> list[str]:
    if cost.unfit is not None:
        return ["does not fit", "", "", "", ""]
    return [
        format_mib(cost.pool_bytes),
        format_mib(cost.peak_bytes),
        format_mib(cost.held),
        format_percent(cost.pool_bytes / cost.footprint) if cost.footprint else "-",
        f"{cost.seconds:.1f}",
    ]


def _print_trace(console: Console, costs: Sequence[CaptureCost]) -> None:
    """Print pool bytes after each graph, per order, at the largest size of all orders."""
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
            row += [f"{there.role} {there.bs}", format_mib(there.pool_bytes)] if there else ["", ""]
        table.add_row(*row)
    console.print(table)


def write_costs_json(
    costs: Sequence[CaptureCost], memory: int | None, arguments: dict[str, Any]
) -> dict[str, Any]:
    """Return the figures by the schema that docs/how-to/capture-cost.md documents."""
    return {
        "schema": SCHEMA,
        "engine_args": arguments,
        "capacity_bytes": find_capacity(costs, memory),
        "costs": [
            {**dataclasses.asdict(c), "footprint": c.footprint, "held": c.held} for c in costs
        ],
        "predictions": {o: dataclasses.asdict(p) for o, p in predict_sizes(costs, memory).items()},
        "sentences": describe_costs(costs, memory),
    }

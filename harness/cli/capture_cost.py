"""`harness capture-cost`: its options."""

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.core.cell import parse_value
from harness.core.errors import UsageError

_GIB = 1 << 30


def capture_cost(
    suite: Annotated[
        str | None, typer.Argument(help="FILE::Class whose engine_args are captured.")
    ] = None,
    max_bs: Annotated[
        str, typer.Option(metavar="A,B", help="Largest batch sizes to sweep.")
    ] = "5,16,32,64",
    order: Annotated[
        str, typer.Option(metavar="A,B", help="Capture orders to compare.")
    ] = "ascending,descending",
    backend: Annotated[str | None, typer.Option(help="Attention backend of all roles.")] = None,
    model: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="A checkpoint, in place of the suite's.")
    ] = None,
    arg: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Any engine argument.")
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(metavar="GIB", help="Predict for this much (default: the device's)."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    timeout: Annotated[float, typer.Option(help="Seconds one capture may take.")] = 600.0,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures there too.")
    ] = None,
) -> None:
    """Measure what each capture order costs in memory, and up to which batch size it fits."""
    from harness.driver.commands.capture_cost import (
        CostOptions,
        measure_costs,
        pick_device,
        suite_arguments,
    )

    given: dict[str, Any] = suite_arguments(suite) if suite else {"speculative": False}
    given |= dict(_argument(text) for text in arg or [])
    given |= {k: v for k, v in (("backend", backend), ("model", model)) if v is not None}
    if memory is not None and not memory > 0:
        raise UsageError(f"--memory {memory:g}: give GiB above 0")
    options = CostOptions(
        engine_args=given,
        orders=tuple(order.split(",")),
        sizes=tuple(_size(text) for text in max_bs.split(",")),
        device=pick_device(device),
        memory=round(memory * _GIB) if memory else None,
        timeout_s=timeout,
    )
    raise typer.Exit(measure_costs(options, json_file))


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError(f"--arg {text!r}: write NAME=VALUE, as in load_format=dummy")
    return name, parse_value(value)


def _size(text: str) -> int:
    if not text.strip().isdecimal():
        raise UsageError(f"--max-bs {text!r}: give whole numbers, as in 5,16,64")
    return int(text)

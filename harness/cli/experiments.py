"""The commands `calibrate` and `diagnose`."""

from pathlib import Path
from typing import Annotated

import typer

StoreOption = Annotated[
    str | None,
    typer.Option("--store", metavar="PATH|URL", help="Where runs are kept."),
]


def calibrate(
    quick: Annotated[
        bool,
        typer.Option("--quick", metavar="", help="Detection and kind alone, 20 clean attempts."),
    ] = False,
    only: Annotated[
        str, typer.Option(metavar="A1,B3", help="These known faults alone; clean: the control.")
    ] = "",
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the scoreboard as JSON.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    slots: Annotated[int | None, typer.Option(help="CPU slots (default: the cores).")] = None,
    tp: Annotated[int, typer.Option(help="Ranks of an attempt, for faults that vary none.")] = 1,
    per_gpu: Annotated[int, typer.Option(help="Attempts side by side on one GPU.")] = 1,
    store: StoreOption = None,
) -> None:
    """Run known faults and a clean control, and say what was found of what is true."""
    from harness.driver.calibrating import Calibration
    from harness.driver.commands import calibrate as command

    names = tuple(name.strip() for name in only.split(",") if name.strip())
    wanted = Calibration(quick, names, json, device, slots, tp, per_gpu)
    raise typer.Exit(command.calibrate(wanted, store))


def diagnose(
    run: Annotated[str, typer.Argument(help="A run's id, a unique prefix, or latest.")] = "latest",
    test: Annotated[str | None, typer.Argument(help="Tests whose id contains this.")] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write what was found as JSON.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Find out what a failing cell's failures follow, by changing one thing at a time."""
    from harness.driver.commands import diagnose as command

    raise typer.Exit(command.diagnose(run, test, json, store))

"""The commands that look at the machine and the repository: `init`, `doctor`, `gate`."""

from typing import Annotated

import typer

from harness.cli.attempts import StoreOption
from harness.driver.options import DEFAULT_SUITE


def init() -> None:
    """Write a first harness.toml by looking at the repository."""
    from harness.driver.commands.init import write_configuration

    raise typer.Exit(write_configuration())


def doctor(store: StoreOption = None) -> None:
    """Say what this machine offers: devices, backends, versions, Ray, store."""
    from harness.driver.commands.doctor import print_doctor

    raise typer.Exit(print_doctor(store))


def gate(
    suites: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SUITE]...", help="Suite files (default: all under suites/)."),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Per class and backend: what the ordering gate decides in CI or not, and what was observed."""
    from harness.driver.commands.ordering_gate import print_gate, suites_under

    raise typer.Exit(print_gate(suites or suites_under("suites") or [DEFAULT_SUITE], store))

"""The output options of a command: one per registered format, and `-q`."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.driver.outputs import FORMATS, Format, Outputs

#: The group of these options in a command's help.
RESULTS = "Where results go"

Command = Callable[..., None]


def take_outputs(command: Command) -> Command:
    """Give a command an option per output format. Its parameter `outputs` receives the value."""
    own = inspect.signature(command).parameters
    info = typer.Option("-q", metavar="", rich_help_panel=RESULTS, help="Print the verdict alone.")
    keyword_only = inspect.Parameter.KEYWORD_ONLY
    quiet = inspect.Parameter(
        "quiet", keyword_only, default=False, annotation=Annotated[bool, info]
    )
    parameters = [
        *(one for name, one in own.items() if name != "outputs"),
        *map(_to_parameter, FORMATS.values()),
        quiet,
    ]

    def call(*arguments: Any, **given: Any) -> None:
        paths = {name: given.pop(f"{name}_path") for name in FORMATS}
        named = {name: path for name, path in paths.items() if path is not None}
        command(*arguments, outputs=Outputs(named, given.pop("quiet")), **given)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    return call


def _to_parameter(one: Format) -> inspect.Parameter:
    option = typer.Option(one.option, metavar=one.metavar, rich_help_panel=RESULTS, help=one.help)
    return inspect.Parameter(
        f"{one.name}_path",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[Path | None, option],
    )

"""From declared options to a command's signature: what typer reads and what `RunOptions` takes."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from harness.core.errors import UsageError
from harness.driver.declarations import Declared, list_declared
from harness.driver.options import RunOptions

Command = Callable[..., None]


def take_run_options(command: Command) -> Command:
    """Give a command every option of `RunOptions`. Its first parameter receives the value.

    The command's other parameters stay as they are, after these.
    """
    signature = inspect.signature(command)
    own = [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for one in list(signature.parameters.values())[1:]
    ]

    def call(**given: Any) -> None:
        own_values = {one.name: given.pop(one.name) for one in own}
        command(read_run_options(given), **own_values)

    parameters = [*(_to_parameter(one) for one in list_declared(RunOptions)), *own]
    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    return call


class PassThroughCommand(TyperCommand):
    """A command after whose suites `--` begins arguments of the suites' own program.

    Where no suite stands before it, `--` is what it is elsewhere: what follows is a suite, however
    it begins. So a script can hand on a name that it did not choose.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line, each word after the suites' `--` as one `--suite-arg`."""
        if "--" in args:
            at = args.index("--")
            before = self.make_parser(ctx).parse_args(list(args[:at]))[0]
            if before.get("suites"):
                args = [*args[:at], *(f"--suite-arg={word}" for word in args[at + 1 :])]
        return super().parse_args(ctx, args)


def read_run_options(given: dict[str, Any]) -> RunOptions:
    """Return the options for what the command line gave. Raise UsageError for what is wrong."""
    declared = list(list_declared(RunOptions))
    for one in declared:
        _check_text(one.option.name, given[one.field])
    return RunOptions(**{one.field: one.read(given[one.field]) for one in declared})


def _check_text(name: str, value: Any) -> None:
    """Raise UsageError for bytes that are not UTF-8: what names cells and suites must be stored."""
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and any("\ud800" <= letter <= "\udfff" for letter in text):
            raise UsageError(f"{name} {text[:200]!a}: not UTF-8, which results are stored in")


def check_beside_resume(context: typer.Context) -> None:
    """Raise UsageError for an option beside `--resume` that would change the stored plan."""
    for one in list_declared(RunOptions):
        source = context.get_parameter_source(one.field)
        if source and source.name == "COMMANDLINE" and not one.option.beside_resume:
            raise UsageError(
                f"{one.option.name} beside --resume: the stored plan is continued as it is; "
                f"leave it out, or start another run"
            )


def _to_parameter(one: Declared) -> inspect.Parameter:
    option = one.option
    if option.flags:
        info: Any = typer.Option(
            *option.flags,
            help=option.help,
            metavar=_name_value(one),
            rich_help_panel=option.group,
            show_default=not isinstance(one.default, tuple) and one.default not in (None, False),
        )
    else:
        info = typer.Argument(help=option.help, metavar=f"[{option.metavar}...]")
    return inspect.Parameter(
        one.field,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if isinstance(one.default, tuple) else one.default,
        annotation=Annotated[_choose_type(one), info],
    )


def _name_value(one: Declared) -> str | None:
    """Return what help calls an option's value: nothing of a flag, which takes none."""
    return "" if one.type is bool else one.option.metavar


def _choose_type(one: Declared) -> Any:
    """Return the type that typer parses: a list is one text with commas, or repeated."""
    if not isinstance(one.default, tuple):
        return one.type
    return str | None if one.option.listed else list[str] | None

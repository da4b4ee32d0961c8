"""`harness bot`: what the workflow's trusted jobs run. Loads no torch, Ray or SQLAlchemy."""

import importlib.util
import os
from pathlib import Path
from typing import Annotated

import typer

from harness.core.errors import UsageError

bot = typer.Typer(
    help="The /rerun-test command: run in GitHub workflows, read docs/how-to/bot.md.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@bot.callback()
def _check_installed() -> None:
    if importlib.util.find_spec("githubkit") is None:
        raise UsageError("harness bot needs githubkit: pip install 'capture-harness[bot]'")


@bot.command()
def parse(
    policy: Annotated[Path, typer.Option(metavar="FILE", help="Who may ask for what.")] = Path(
        ".github/harness.toml"
    ),
) -> None:
    """Read the comment event, answer it, and set the outputs that start a measurement."""
    from harness.bot.context import context_of
    from harness.bot.parse import parse as handle

    raise typer.Exit(handle(context_of(os.environ), policy))


@bot.command()
def publish() -> None:
    """Put what the measuring job left into the command's comment."""
    from harness.bot.context import context_of
    from harness.bot.publish import left_of
    from harness.bot.publish import publish as handle

    raise typer.Exit(handle(context_of(os.environ), left_of(os.environ)))


@bot.command()
def nightly() -> None:
    """Open, update or close the issue of the nightly run's gate."""
    from harness.bot.context import context_of
    from harness.bot.nightly import nightly as handle

    raise typer.Exit(handle(context_of(os.environ), os.environ.get("GITHUB_SHA", "")))


@bot.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="Where the store is to lie.")] = Path(".harness"),
) -> None:
    """Bring back the store that an earlier run of this workflow left."""
    from harness.bot.context import context_of
    from harness.bot.restore import restore as handle

    branch = os.environ.get("GITHUB_REF_NAME", "")
    raise typer.Exit(handle(context_of(os.environ), branch, folder))

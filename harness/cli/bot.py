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
    from harness.bot.github.environment import read_environment
    from harness.bot.jobs.parse import parse_comment

    raise typer.Exit(parse_comment(read_environment(os.environ), policy))


@bot.command()
def watch() -> None:
    """Say in the command's comment where the granted measurement stands until it runs."""
    from harness.bot.github.environment import read_environment
    from harness.bot.jobs.watch import read_grant, watch_measurement

    raise typer.Exit(watch_measurement(read_environment(os.environ), read_grant(os.environ)))


@bot.command()
def publish() -> None:
    """Put what the measuring job left into the command's comment."""
    from harness.bot.github.environment import read_environment
    from harness.bot.jobs.measure_outputs import read_outputs
    from harness.bot.jobs.publish import publish_result

    raise typer.Exit(publish_result(read_environment(os.environ), read_outputs(os.environ)))


@bot.command()
def nightly() -> None:
    """Open, update or close the issue of the nightly run's gate."""
    from harness.bot.github.environment import read_environment
    from harness.bot.jobs.nightly import update_nightly_issue

    sha = os.environ.get("GITHUB_SHA", "")
    raise typer.Exit(update_nightly_issue(read_environment(os.environ), sha))


@bot.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="Folder that the store is written to.")] = Path(
        ".harness"
    ),
) -> None:
    """Bring back the store that an earlier run of this workflow left."""
    from harness.bot.github.environment import read_environment
    from harness.bot.jobs.restore import restore_store

    branch = os.environ.get("GITHUB_REF_NAME", "")
    raise typer.Exit(restore_store(read_environment(os.environ), branch, folder))

"""The commands on single attempts and their files: `show`, `rerun`, `prune`."""

from typing import Annotated

import typer

from harness.cli.output_options import RESULTS
from harness.core.errors import UsageError

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="PATH|URL",
        rich_help_panel=RESULTS,
        help="Where runs are kept (default: .harness/store.sqlite).",
    ),
]
AttemptArgument = Annotated[
    str,
    typer.Argument(
        metavar="ATTEMPT",
        help="An attempt's id, RUN.N, as `harness report` prints it, or a unique prefix.",
    ),
]


def show(attempt: AttemptArgument, store: StoreOption = None) -> None:
    """Show all that is known of one attempt: its cause, last words, evidence and files."""
    from harness.driver.commands.show import show_attempt

    raise typer.Exit(show_attempt(attempt, store))


def rerun(
    attempt: AttemptArgument,
    repeats: Annotated[
        int, typer.Option("--repeats", metavar="N", min=1, help="How many times, one by one.")
    ] = 1,
    beside: Annotated[
        int,
        typer.Option(
            "--beside",
            metavar="N",
            min=0,
            help="N times alone and N times beside another attempt: does it fail only in company?",
        ),
    ] = 0,
    pdb: Annotated[
        bool,
        typer.Option("--pdb", metavar="", help="Open pytest's debugger at the failure, on rank 0."),
    ] = False,
    shell: Annotated[
        bool, typer.Option("--shell", metavar="", help="Open a shell in the attempt's environment.")
    ] = False,
    memcheck: Annotated[
        bool,
        typer.Option(
            "--memcheck",
            metavar="",
            help="Run it under compute-sanitizer's memcheck, which names kernel and access.",
        ),
    ] = False,
    store: StoreOption = None,
) -> None:
    """Run one stored attempt again: same seed, cell and environment. Nothing is stored."""
    if pdb + shell + (repeats > 1) + (beside > 0) > 1:
        raise UsageError(
            "--repeats, --beside, --pdb and --shell exclude each other: give one of them"
        )
    if memcheck and (beside or pdb or shell):
        raise UsageError("--memcheck goes with --repeats only: leave out the other one")
    if beside:
        from harness.driver.commands.beside import rerun_beside

        raise typer.Exit(rerun_beside(attempt, store, beside))
    if pdb or shell:
        from harness.driver.commands.attach import attach_debugger, attach_shell

        raise typer.Exit((attach_debugger if pdb else attach_shell)(attempt, store))
    from harness.driver.commands.rerun import rerun_attempt

    raise typer.Exit(rerun_attempt(attempt, store, repeats, memcheck=memcheck))


def prune(
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="30d", help="Remove what ended longer ago (d, h, w)."),
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option("--max-size", metavar="20G", help="Remove the oldest until no more is left."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", metavar="", help="Say what would be removed, and remove nothing."
        ),
    ] = False,
    store: StoreOption = None,
) -> None:
    """Remove old evidence, then logs, and stored rows last. Runs that go on are left alone."""
    from harness.driver.commands.prune import PruneRequest, prune_runs

    request = PruneRequest.read(older_than, max_size, dry_run=dry_run)
    raise typer.Exit(prune_runs(request, store))

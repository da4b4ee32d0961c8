"""The `harness` command: options in, exit code out. Heavy imports wait until a command runs."""

import sys
from importlib import metadata
from typing import Annotated

import typer

from harness.cli.attempts import StoreOption, prune, rerun, show
from harness.cli.bot import bot
from harness.cli.capture_cost import capture_cost
from harness.cli.declared import PassThroughCommand, check_beside_resume, take_run_options
from harness.cli.experiments import calibrate, diagnose
from harness.cli.machine import doctor, gate, init
from harness.cli.mistakes import describe_mistake
from harness.cli.output_options import RESULTS, take_outputs
from harness.core.errors import HarnessError, UsageError
from harness.core.exits import ExitCode
from harness.driver.options import MACHINE, RunOptions
from harness.driver.outputs import Outputs

app = typer.Typer(
    help="Measure how often CUDA-graph-capture tests fail, of what, and what failures depend on.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"harness {metadata.version('capture-harness')}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            is_eager=True,
            callback=_print_version,
            help="Show the version.",
        ),
    ] = False,
) -> None:
    """Measure how often CUDA-graph-capture tests fail, of what, and what failures depend on."""


@app.command(cls=PassThroughCommand)
@take_run_options
@take_outputs
def run(
    options: RunOptions,
    context: typer.Context,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", rich_help_panel=MACHINE, help="Finish what a stored run still lacks."
        ),
    ] = None,
    allow_changed: Annotated[
        bool,
        typer.Option(
            "--allow-changed",
            metavar="",
            rich_help_panel=MACHINE,
            help="With --resume: go on with changed files; their rates are shown apart.",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            metavar="",
            rich_help_panel=RESULTS,
            help="Show cells, attempts and expected time, and make no attempt.",
        ),
    ] = False,
    store: StoreOption = None,
    *,
    outputs: Outputs,
    verbose: Annotated[
        bool,
        typer.Option(
            "-v", metavar="", rich_help_panel=RESULTS, help="Show the captures of rank 0 live."
        ),
    ] = False,
) -> None:
    """Measure suites: repeat each in fresh processes in every cell, and print rates."""
    if dry_run:
        if resume is not None:
            raise UsageError("--dry-run beside --resume: a stored run has its plan already")
        from harness.driver.commands.dry_run import print_dry_run

        raise typer.Exit(print_dry_run(options, store))
    if resume is None:
        from harness.driver.early import start_broker

        if allow_changed:
            raise UsageError("--allow-changed is for --resume RUN: a new run has nothing to mix")
        with start_broker(options.address) as broker:
            from harness.driver.commands.run import start_run

            raise typer.Exit(start_run(options, store, outputs, verbose, broker))
    from harness.driver.commands.resume import ResumeOptions, resume_run

    check_beside_resume(context)
    given = ResumeOptions(options, allow_changed)
    raise typer.Exit(resume_run(resume, store, outputs, verbose, given))


@app.command()
@take_outputs
def report(
    run: Annotated[str, typer.Argument(help="A run's id, a unique prefix, or latest.")] = "latest",
    store: StoreOption = None,
    *,
    outputs: Outputs,
) -> None:
    """Print a run's table again, from the store alone."""
    from harness.driver.commands.report import show_run

    raise typer.Exit(show_run(run, store, outputs))


@app.command()
def watch(
    run: Annotated[str, typer.Argument(help="A run's id, a unique prefix, or latest.")] = "latest",
    store: StoreOption = None,
) -> None:
    """Show a run that goes on: its cells, attempts and last failures. Disturbs nothing."""
    from harness.driver.commands.watch import watch_run

    raise typer.Exit(watch_run(run, store))


@app.command()
def plan(
    base_rate: Annotated[
        float,
        typer.Option(
            metavar="RATE", help="Failure rate that the comparison must be able to detect."
        ),
    ] = 0.2,
    target_rate: Annotated[
        float, typer.Option(metavar="RATE", help="Failure rate that it must be distinguished from.")
    ] = 0.0,
    power: Annotated[float, typer.Option(help="Probability of a verdict.")] = 0.8,
    contrasts: Annotated[
        int | None,
        typer.Option(help="Comparisons planned (default: those of the stored run, else 1)."),
    ] = None,
    below: Annotated[
        float | None, typer.Option(metavar="RATE", help="Also: what proves a rate below this.")
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Stored run to take durations from (default: latest)."),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Say how many attempts, and device-hours, a question takes."""
    from harness.driver.commands.plan import Budget, print_budget

    budget = Budget(base_rate, target_rate, power, contrasts, below, like)
    raise typer.Exit(print_budget(budget, store))


@app.command()
@take_outputs
def compare(
    base: Annotated[str, typer.Argument(metavar="RUN_A", help="The run before.")],
    head: Annotated[str, typer.Argument(metavar="RUN_B", help="The run after.")],
    store: StoreOption = None,
    *,
    outputs: Outputs,
) -> None:
    """Say whether RUN_B fails less often than RUN_A, and what else changed between them."""
    from harness.driver.commands.compare import print_comparison

    raise typer.Exit(print_comparison(base, head, store, outputs))


@app.command()
def runs(store: StoreOption = None) -> None:
    """List the stored runs, newest first."""
    from harness.driver.commands.runs import list_runs

    raise typer.Exit(list_runs(store))


@app.command()
def bisect(
    suites: Annotated[list[str], typer.Argument(metavar="SUITE...", help="What is measured.")],
    good: Annotated[str, typer.Option(metavar="REV", help="A commit that seldom fails.")],
    bad: Annotated[str, typer.Option(metavar="REV", help="A later commit that often fails.")],
    step: Annotated[
        int, typer.Option(metavar="N", min=1, help="Attempts per cell before the next choice.")
    ] = 4,
    most_attempts: Annotated[
        int, typer.Option("--max-attempts", metavar="N", min=1, help="When to give up.")
    ] = 400,
    order: Annotated[str, typer.Option(metavar="A,B", help="Capture orders.")] = "",
    backend: Annotated[str, typer.Option(metavar="A,B", help="Attention backends.")] = "",
    tp: Annotated[str, typer.Option(metavar="1,2", help="Tensor-parallel sizes.")] = "",
    keyword: Annotated[str | None, typer.Option("-k", metavar="EXPR", help="pytest's -k.")] = None,
    slots: Annotated[int | None, typer.Option(help="CPU slots (default: the cores).")] = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="How long an attempt may take.")
    ] = 300.0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    store: StoreOption = None,
) -> None:
    """Find the commit that raised a failure rate, between a good and a bad one."""
    from harness.driver.commands.bisect import Search, find_culprit

    options = RunOptions(
        suites=tuple(suites), repeats=step, keyword=keyword, slots=slots, timeout_s=timeout_s,
        device=device, order=_split(order), backend=_split(backend), tp=_split(tp),
    )  # fmt: skip
    raise typer.Exit(find_culprit(options, Search(good, bad, most_attempts), store))


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


@app.command()
def history(
    test: Annotated[
        str | None,
        typer.Argument(help="Tests whose id contains this (default: whole suites)."),
    ] = None,
    runs: Annotated[
        int, typer.Option("--runs", metavar="N", min=1, help="How many of the newest runs.")
    ] = 200,
    store: StoreOption = None,
) -> None:
    """Show failure rates across stored runs and commits, and where they changed."""
    from harness.driver.commands.history import print_history

    raise typer.Exit(print_history(test, store, runs))


for command in (init, doctor, gate, show, rerun, prune):
    app.command()(command)
app.command()(calibrate)
app.command()(diagnose)
app.command("capture-cost")(capture_cost)
app.add_typer(bot, name="bot")


def main() -> None:
    """Console entry: a user's mistake is one line and a documented exit code, no traceback."""
    try:
        # Outside standalone mode a command's typer.Exit comes back as its code.
        sys.exit(app(standalone_mode=False))
    except HarnessError as error:
        _fail(str(error), error.exit_code)
    except typer.Abort:
        sys.exit(ExitCode.INTERRUPTED)
    except KeyboardInterrupt:
        _fail("interrupted", ExitCode.INTERRUPTED)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        _fail(describe_mistake(error), ExitCode.USAGE)


def _fail(message: str, code: int) -> None:
    """Write the one line and leave; no line if help has been printed instead of it."""
    if message:
        sys.stderr.write(f"harness: {message}\n")
    sys.exit(code)

"""The `harness` command: options in, exit code out. Heavy imports wait until a command runs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.bot import bot
from harness.cli.capture_cost import capture_cost
from harness.core.cell import ENV_PREFIX, Axis, axis_of, parse_axis
from harness.core.engine_arguments import AXES
from harness.core.errors import HarnessError, UsageError
from harness.core.exits import ExitCode

app = typer.Typer(
    help="Measure how often CUDA-graph-capture tests fail, of what, and what failures depend on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="PATH|URL", help="Where runs are kept [.harness/store.sqlite]."
    ),
]


JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write run.json there too.")
]
MarkdownOption = Annotated[
    Path | None,
    typer.Option("--markdown", metavar="FILE", help="Append the report there as Markdown."),
]


@app.command()
def run(
    suites: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SUITE]...", help="FILE, FILE::Class or FILE::Class::test."),
    ] = None,
    repeats: Annotated[int, typer.Option(help="Attempts planned per cell.")] = 50,
    order: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Capture orders: ascending, descending, shuffled, gate."),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Attention backends of all roles [all of this machine]."),
    ] = None,
    prefill_backend: Annotated[
        str | None, typer.Option(metavar="A,B", help="Of prefill alone [--backend].")
    ] = None,
    decode_backend: Annotated[
        str | None, typer.Option(metavar="A,B", help="Of decode and verify alone [--backend].")
    ] = None,
    draft_backend: Annotated[
        str | None, typer.Option(metavar="A,B", help="Of the draft head alone [--backend].")
    ] = None,
    tp: Annotated[
        str | None, typer.Option(metavar="1,2", help="Tensor-parallel sizes [2, else 1].")
    ] = None,
    rev: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Measure these commits, the first as the reference."),
    ] = None,
    rev_python: Annotated[
        str | None,
        typer.Option(metavar="PATH,PATH", help="An interpreter per revision [the running one]."),
    ] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=A,B", help=f"Vary an engine argument: {', '.join(AXES)}."),
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option(metavar="NAME=A,B", help="Vary an environment variable.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    slots: Annotated[int | None, typer.Option(help="CPU slots [the cores].")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds an attempt may take.")] = 300.0,
    seed: Annotated[int | None, typer.Option(help="Run seed [drawn and printed].")] = None,
    fixed_seed: Annotated[
        bool, typer.Option("--fixed-seed", help="Give every attempt the run's seed.")
    ] = False,
    isolation: Annotated[
        str | None,
        typer.Option(help="spawn, or fork from a warm zygote [fork on CPU, spawn on CUDA]."),
    ] = None,
    in_process_reruns: Annotated[
        int, typer.Option(help="Rerun failures N times in process, shown beside the rate.")
    ] = 0,
    replace_infra: Annotated[
        int, typer.Option(help="Repeat an infrastructure attempt up to N times.")
    ] = 0,
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT|auto", help="Join this Ray [a private one].")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Finish what is missing of a stored run.")
    ] = None,
    store: StoreOption = None,
    json_file: JsonOption = None,
    markdown_file: MarkdownOption = None,
    keyword: Annotated[
        str | None, typer.Option("-k", metavar="EXPR", help="pytest's -k, for every attempt.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="decided", help="Stop once decided; --repeats is then the cap."),
    ] = None,
    max_flake_rate: Annotated[
        float | None,
        typer.Option(metavar="RATE", help="Gate: every cell must be proven to fail less often."),
    ] = None,
    base_rate: Annotated[
        float, typer.Option(metavar="RATE", help="Rate that comparisons are planned to see.")
    ] = 0.2,
    target_rate: Annotated[
        float, typer.Option(metavar="RATE", help="Rate that it is to be told apart from.")
    ] = 0.0,
    verbose: Annotated[bool, typer.Option("-v", help="Draw rank 0's captures live.")] = False,
) -> None:
    """Measure suites: repeat each in fresh processes in every cell, and print rates."""
    from harness.driver.options import RunOptions
    from harness.driver.outputs import Outputs
    from harness.driver.session import resume_run, start_run

    outputs = Outputs(json_file, markdown_file)
    if resume is not None:
        raise typer.Exit(resume_run(resume, store, outputs, verbose, address))
    named = {
        "order": order,
        "backend": backend,
        "prefill-backend": prefill_backend,
        "decode-backend": decode_backend,
        "draft-backend": draft_backend,
        "tp": tp,
    }
    options = RunOptions(
        suites=tuple(suites or _default_suites()),
        repeats=repeats,
        axes=tuple(_axes(named, axis or [], env or [])),
        device=device,
        slots=slots,
        timeout_s=timeout,
        seed=seed,
        fixed_seed=fixed_seed,
        isolation=isolation,
        in_process_reruns=in_process_reruns,
        replace_infra=replace_infra,
        address=address,
        keyword=keyword,
        until=until,
        max_flake_rate=max_flake_rate,
        base_rate=base_rate,
        target_rate=target_rate,
        revs=_listed(rev),
        rev_pythons=_listed(rev_python),
    )
    raise typer.Exit(start_run(options, store, outputs, verbose))


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text is not None else ()


def _default_suites() -> list[str]:
    from harness.driver.options import DEFAULT_SUITE

    if not Path(DEFAULT_SUITE).is_file():
        raise UsageError(
            f"name a suite: {DEFAULT_SUITE} does not exist here; "
            "for example: harness run tests/test_graphs.py::TestCapture --repeats 50"
        )
    return [DEFAULT_SUITE]


def _axes(named: dict[str, str | None], axis: list[str], env: list[str]) -> list[Axis]:
    axes = [
        axis_of(name.replace("-", "_"), value.split(","), option=f"--{name}")
        for name, value in named.items()
        if value
    ]
    axes += [parse_axis(text) for text in axis]
    return axes + [parse_axis(text, option="--env", prefix=ENV_PREFIX) for text in env]


@app.command()
def rerun(
    attempt: Annotated[str, typer.Argument(help="An attempt's id or unique prefix.")],
    store: StoreOption = None,
) -> None:
    """Run one stored attempt again: same seed, cell and environment."""
    from harness.driver.session import rerun_attempt

    raise typer.Exit(rerun_attempt(attempt, store))


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="A run's id, a unique prefix, or latest.")] = "latest",
    store: StoreOption = None,
    json_file: JsonOption = None,
    markdown_file: MarkdownOption = None,
) -> None:
    """Print a run's table again, from the store alone."""
    from harness.driver.outputs import Outputs
    from harness.driver.session import show_run

    raise typer.Exit(show_run(run, store, Outputs(json_file, markdown_file)))


@app.command()
def plan(
    base_rate: Annotated[float, typer.Option(metavar="RATE", help="The rate to see.")] = 0.2,
    target_rate: Annotated[
        float, typer.Option(metavar="RATE", help="The rate to tell it apart from.")
    ] = 0.0,
    power: Annotated[float, typer.Option(help="Probability of a verdict.")] = 0.8,
    contrasts: Annotated[
        int | None, typer.Option(help="Comparisons planned [those of the run costed by, else 1].")
    ] = None,
    below: Annotated[
        float | None, typer.Option(metavar="RATE", help="Also: what proves a rate below this.")
    ] = None,
    like: Annotated[
        str | None, typer.Option(metavar="RUN", help="Stored run to take durations from [latest].")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Say how many attempts, and device-hours, a question takes."""
    from harness.driver.budget import Budget, print_budget

    budget = Budget(base_rate, target_rate, power, contrasts, below, like)
    raise typer.Exit(print_budget(budget, store))


@app.command()
def compare(
    base: Annotated[str, typer.Argument(metavar="RUN_A", help="The run before.")],
    head: Annotated[str, typer.Argument(metavar="RUN_B", help="The run after.")],
    store: StoreOption = None,
) -> None:
    """Say whether RUN_B fails less often than RUN_A, and what else changed between them."""
    from harness.driver.compare import print_comparison

    raise typer.Exit(print_comparison(base, head, store))


@app.command()
def runs(store: StoreOption = None) -> None:
    """List the stored runs, newest first."""
    from harness.driver.session import list_runs

    raise typer.Exit(list_runs(store))


@app.command()
def doctor(store: StoreOption = None) -> None:
    """Say what this machine offers: devices, backends, versions, Ray, store."""
    from harness.driver.doctor import print_doctor

    raise typer.Exit(print_doctor(store))


@app.command()
def gate(
    suites: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SUITE]...", help="Suite files [all under suites/]."),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Per class and backend: what the ordering gate decides in CI or not, and what was observed."""
    from harness.driver.gate import print_gate, suites_under

    raise typer.Exit(print_gate(suites or suites_under("suites") or _default_suites(), store))


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
        _fail(error.format_message(), ExitCode.USAGE)


def _fail(message: str, code: int) -> None:
    sys.stderr.write(f"harness: {message}\n")
    sys.exit(code)

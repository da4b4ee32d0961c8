"""What was granted, read back from the measuring job's arguments, and whether a result is of it.

The result comes from a machine that ran a pull request's code: a figure that was not granted is a
reason not to believe any of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.analysis.report_model import CellRate, Report
from harness.bot.jobs.result import RejectedError
from harness.core.statuses import RunStatus

_LISTS = ("--order", "--backend", "--rev")


@dataclass(frozen=True, slots=True)
class GrantedRun:
    """The run that was granted. Empty axes: not restricted by the command."""

    suites: frozenset[str]
    repeats: int
    seed: int
    revisions: tuple[str, ...]
    device: str
    until_decided: bool
    orders: frozenset[str] = frozenset()
    backends: frozenset[str] = frozenset()
    tp: int | None = None


def read_granted(arguments: Sequence[str]) -> GrantedRun:
    """Return the run behind the arguments of `build_arguments`."""
    split = arguments.index("--")
    given = dict(zip(arguments[:split:2], arguments[1:split:2], strict=True))
    listed = {flag: tuple(given[flag].split(",")) if flag in given else () for flag in _LISTS}
    return GrantedRun(
        suites=frozenset(arguments[split + 1 :]),
        repeats=int(given["--repeats"]),
        seed=int(given["--seed"]),
        revisions=listed["--rev"],
        device=given["--device"],
        until_decided="--until" in given,
        orders=frozenset(listed["--order"]),
        backends=frozenset(listed["--backend"]),
        tp=int(given["--tp"]) if "--tp" in given else None,
    )


def check_granted(report: Report, granted: GrantedRun) -> None:
    """Raise RejectedError unless the result is of what was granted, and whole if it says so."""
    wrong = [*_find_other_run(report, granted), *_find_other_cells(report, granted)]
    if wrong:
        raise RejectedError(f"run.json is of another {wrong[0]} than was granted")
    if any(_count_missing(report, cell) for cell in report.cells):
        raise RejectedError("run.json says complete and lacks attempts")


def _find_other_run(report: Report, granted: GrantedRun) -> Iterator[str]:
    run = report.run
    measured = tuple(revision.sha for revision in run.revisions)
    pairs = {
        "list of commits": (measured, granted.revisions),
        "seed": (run.seed, granted.seed),
        "kind of seed": (run.fixed_seed, False),
        "number of repeats": (run.repeats, granted.repeats),
        "device": (run.device, granted.device),
        "rule for stopping": (run.until_decided, granted.until_decided),
    }
    yield from (what for what, (found, asked) in pairs.items() if found != asked)
    suites = {c.suite for c in report.cells} | {c.suite for c in report.refused}
    if suites != granted.suites:
        yield "list of suites"
    if report.earlier:
        yield "version of its files"


def _find_other_cells(report: Report, granted: GrantedRun) -> Iterator[str]:
    allowed = {
        "order": granted.orders,
        "backend": granted.backends,
        "tp": frozenset() if granted.tp is None else frozenset({granted.tp}),
    }
    for axis, values in allowed.items():
        found = {cell.axes.get(axis) for cell in report.cells} - {None}
        if values and not found <= values:
            yield f"value of {axis}"
    if any(c.planned != granted.repeats or c.valid > c.planned for c in report.cells):
        yield "number of attempts"


def _count_missing(report: Report, cell: CellRate) -> int:
    """Return how many attempts a run that calls itself complete lacks in a cell."""
    return max(cell.planned - cell.attempts, 0) if report.run.status is RunStatus.COMPLETE else 0

"""`harness history [TEST]`: rates across stored runs and commits, and where they changed."""

from collections.abc import Sequence

from rich.console import Console

from harness.analysis.history import HistoryPoint, Series, StoredRun, collect_series
from harness.analysis.wording import format_rate
from harness.core.errors import UsageError
from harness.core.exits import ExitCode
from harness.driver.stores import open_known_stores
from harness.report.listing import print_listing
from harness.report.views import Shape
from harness.stats.intervals import compute_clopper_pearson
from harness.store.group import StoreGroup

_BARS = "▁▂▃▄▅▆▇█"
_COLUMNS = {
    "test": Shape.NAME,
    "cell": Shape.LABEL,
    "runs": Shape.NUMBER,
    "failed": Shape.NUMBER,
    "rate [95 %]": Shape.NUMBER,
    "trend": Shape.NAME,
    "changes": Shape.LABEL,
}


def print_history(test: str | None, location: str | None, newest: int) -> int:
    """Print a table of at most so many newest runs. Return the exit code.

    Raise UsageError if no stored run holds such a test.
    """
    with open_known_stores(location) as stores:
        series = collect_series(_read_runs(stores, test, newest), test)
    if not series:
        raise UsageError(f"no stored attempt of {test or 'any suite'}; `harness runs` lists runs")
    print_listing(Console(), _COLUMNS, map(_describe, series))
    return ExitCode.OK


def _read_runs(stores: StoreGroup, test: str | None, newest: int) -> list[StoredRun]:
    return [
        (record, store.attempts(record.id), store.test_counts(record.id) if test else [])
        for store, record in stores.list_runs()[:newest]
    ]


def _describe(series: Series) -> tuple[str, ...]:
    bounds = compute_clopper_pearson(series.failed, series.attempts)
    rate = format_rate(series.failed, series.attempts, (bounds.low, bounds.high))
    shown = f"{series.failed}/{series.attempts}"
    line = draw_sparkline(
        [p.tally.failed / (p.tally.failed + p.tally.passed) for p in series.points]
    )
    return (
        series.name,
        series.cell,
        str(len(series.points)),
        shown,
        rate,
        line,
        list_changes(series),
    )


def draw_sparkline(rates: list[float]) -> str:
    """Return one bar per run, the highest for a rate of 1; the lowest for 0."""
    return "".join(_BARS[min(int(rate * len(_BARS)), len(_BARS) - 1)] for rate in rates)


def list_changes(series: Series) -> str:
    """Return each change with the run and commit that it came with, and the rates around it."""
    changes = series.find_changes()
    if not changes:
        return "-"
    ends = [*(change.index for change in changes[1:]), len(series.points)]
    start, told = 0, []
    for change, end in zip(changes, ends, strict=True):
        before, after = series.points[start : change.index], series.points[change.index : end]
        point = series.points[change.index]
        told.append(
            f"{_share(before)} -> {_share(after)} at {point.run_id}"
            + (f" ({point.commit})" if point.commit else "")
            + f", {change.chance:.0%} sure"
        )
        start = change.index
    return "; ".join(told)


def _share(points: Sequence[HistoryPoint]) -> str:
    tallies = [point.tally for point in points]
    failed = sum(t.failed for t in tallies)
    return f"{failed}/{failed + sum(t.passed for t in tallies)}"

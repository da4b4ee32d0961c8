"""The table a person reads after a run: rates with intervals, never a tick for 0/3."""

from collections.abc import Callable

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.analysis.cells import CellSummary
from harness.analysis.revisions import revision_lines
from harness.analysis.summary import RunSummary
from harness.analysis.verdict import Verdict
from harness.analysis.words import (
    common_label,
    is_other_order,
    kinds_text,
    rate_text,
    varied_label,
)
from harness.core.cell import Cell
from harness.report.sentences import shown
from harness.stats.intervals import Interval

_MIB = 1 << 20


def print_report(summary: RunSummary, verdict: Verdict, console: Console) -> None:
    """Print the run: cells, tests that failed, signatures, what was refused, the verdict."""
    console.print(_heading(summary), soft_wrap=True)
    for line in revision_lines(summary.plan.revisions):
        console.print(escape(line), soft_wrap=True)
    for suite in dict.fromkeys(cell.suite for cell in summary.cells):
        cells = [cell for cell in summary.cells if cell.suite == suite]
        console.print(_cell_table(suite, cells))
        for more in (_kind_table(cells), _test_table(cells)):
            if more:
                console.print(more)
    _print_lists(summary, console)
    compared = [one.as_dict() for one in verdict.contrasts]
    for sentence in shown(verdict.sentences, compared, "--json and --markdown have each"):
        console.print(f"[bold]•[/] {escape(sentence)}", soft_wrap=True)


def _heading(summary: RunSummary) -> str:
    run = summary.run
    graphs = f"{summary.graphs} graphs" if summary.graphs else "no graph captured"
    seed = f"{'fixed ' if summary.plan.fixed_seed else ''}seed {run.seed}"
    sha = str(run.fingerprint.get("sha") or "no commit")[:12]
    dirty = " + local changes" if run.fingerprint.get("dirty") else ""
    what = f"{len(summary.plan.revisions)} revisions" if summary.plan.revisions else sha + dirty
    return f"[bold]run {run.id}[/]: {run.status}, {run.device}, {graphs}, {seed}, {escape(what)}"


def _cell_table(suite: str, cells: list[CellSummary]) -> Table:
    title = " · ".join(part for part in (suite, common_label(_cells(cells))) if part)
    table = _table(title)
    table.add_column("cell", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("kinds")
    for cell in cells:
        table.add_row(
            escape(varied_label(cell.cell, _cells(cells))),
            *(text(cell) for text in _COLUMNS.values()),
            escape(kinds_text(cell.kinds)) or "-",
        )
    return table


def _cells(cells: list[CellSummary]) -> list[Cell]:
    return [cell.cell for cell in cells]


def _bounds(interval: Interval | None) -> tuple[float, float] | None:
    return (interval.low, interval.high) if interval else None


def _table(title: str) -> Table:
    return Table(
        title=escape(title),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        pad_edge=False,
        collapse_padding=True,
    )


def _order(cell: CellSummary) -> str:
    """The observed order, marked where it is not the requested one."""
    asked, observed = cell.order_requested, cell.order_observed
    return f"[red]{observed} (asked: {asked})[/]" if is_other_order(asked, observed) else observed


_COLUMNS: dict[str, Callable[[CellSummary], str]] = {
    "failed": lambda cell: f"{cell.failed}/{cell.valid}",
    "rate [95 %]": lambda cell: rate_text(cell.failed, cell.valid, _bounds(cell.interval)),
    "infra": lambda cell: str(cell.infra or "-"),
    "observed": _order,
    "MiB": lambda cell: f"{cell.pool_bytes / _MIB:.1f}" if cell.pool_bytes else "-",
    "s": lambda cell: f"{cell.seconds:.1f}" if cell.seconds else "-",
}


def _kind_table(cells: list[CellSummary]) -> Table | None:
    """Each kind's own rate, where several compete: an attempt fails of one kind only."""
    rows = [(kind, cell) for cell in cells for kind in cell.kinds]
    if len({kind for kind, _ in rows}) < 2:
        return None
    table = _table("kinds (exploratory)")
    for name in ("kind", "cell", "failed", "rate [95 %]"):
        table.add_column(name)
    for kind, cell in sorted(rows, key=lambda row: (row[0], row[1].name)):
        table.add_row(
            escape(kind),
            escape(varied_label(cell.cell, _cells(cells))),
            f"{cell.kinds[kind]}/{cell.valid}",
            rate_text(cell.kinds[kind], cell.valid, _bounds(cell.kind_intervals.get(kind))),
        )
    return table


def _test_table(cells: list[CellSummary]) -> Table | None:
    rows = [(cell, test) for cell in cells for test in cell.tests if test.failed or test.precluded]
    if not rows:
        return None
    table = _table("tests that did not always pass (exploratory)")
    for name in ("test", "cell", "failed", "rate [95 %]", "precluded", "recovered", "kinds"):
        table.add_column(name)
    for cell, test in rows:
        table.add_row(
            escape(test.id.partition("::")[2] or test.id),
            escape(varied_label(cell.cell, _cells(cells))),
            f"{test.failed}/{test.failed + test.passed}",
            rate_text(test.failed, test.failed + test.passed, _bounds(test.interval)),
            str(test.precluded or "-"),
            f"{test.recovered}/{test.failed}" if test.recovered else "-",
            escape(kinds_text(test.kinds)),
        )
    return table


def _print_lists(summary: RunSummary, console: Console) -> None:
    for signature in summary.signatures[:8]:
        what = f"{signature.kind}/{signature.phase}: {signature.signature}"
        example = f"[dim](e.g. {signature.example})[/]"
        console.print(
            f"[dim]{signature.id}[/] {signature.n}x {escape(what)}  {example}", soft_wrap=True
        )
    if summary.signatures:
        example = summary.signatures[0].example
        console.print(f"[dim]logs: .harness/runs/{summary.run.id}/{example}[/]", soft_wrap=True)
    for reason in summary.infra_reasons[:8]:
        console.print(f"[yellow]infrastructure[/] {escape(reason)}", soft_wrap=True)
    for planned in summary.refused:
        label = escape(f"{planned.suite} · {planned.cell.label}")
        console.print(f"[yellow]not run[/] {label}: {escape(planned.refused or '')}")
    notes = dict.fromkeys(note for cell in summary.cells for note in cell.notes)
    for note in list(notes)[:8]:
        console.print(f"[dim]note: {escape(note)}[/]", soft_wrap=True)

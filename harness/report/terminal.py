"""What a person reads after a run: tables of rates with intervals, causes, and the verdict."""

import textwrap
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from harness.analysis.report_model import Report, SignatureCount
from harness.analysis.revision_notes import list_revisions
from harness.report import wording
from harness.report.audit_lines import describe_finding, list_advice
from harness.report.cell_table import group_by_suite, make_cell_tables, make_earlier_tables
from harness.report.detail_tables import (
    list_unreached,
    list_warmups,
    make_contrast_table,
    make_kind_table,
    make_test_table,
)
from harness.report.evidence_folder import list_evidence
from harness.report.layout import clean_text, lay_out
from harness.report.refused_cells import group_refused
from harness.report.verdict_lines import select_sentences
from harness.report.views import TableView

#: So many signatures, reasons and notes are listed; run.json has all.
_LISTED = 8
#: From so many comparisons on they are a table, and not only sentences.
_SEVERAL = 3
_CAUSE_LINES = 2
#: So many lines of what is known of a loss; the store has all.
_CAUSE_OF_LOSS = 20
#: What PyTorch puts below every CUDA error.
_HINTS = (
    "CUDA kernel errors might be",
    "For debugging consider passing",
    "Compile with `TORCH_USE_CUDA_DSA`",
    "Search for `",
    "Device-side assertions were",
)
#: A blank at which no line ends: a number stays with its unit.
_TIE = "\N{NO-BREAK SPACE}"
#: Output that no terminal shows is not broken to a width.
_UNBROKEN = 10_000


def print_report(report: Report, console: Console, *, quiet: bool = False) -> None:
    """Print a run: tables, causes of failure, what was not run, and the verdict.

    `quiet`: the first line and the verdict alone.
    """
    print_line(console, f"run {report.run.id}: {_describe_run(report)}", "bold")
    if not quiet:
        for line in list_revisions(report.run.revisions):
            print_line(console, line)
        _print_tables(report, console)
        _print_lists(report, console)
    for sentence in select_sentences(report):
        print_line(console, f"• {sentence}")


def print_line(console: Console, text: str, style: str = "", indent: str = "") -> None:
    """Print text that nothing interprets; in a terminal broken between words."""
    clean = clean_text(text)
    lines = [indent + clean]
    if console.is_terminal and cell_len(lines[0]) > console.width:
        width = max(console.width - 1, 20)
        kept = clean.replace(" %", f"{_TIE}%")
        lines = textwrap.wrap(kept, width, initial_indent=indent, subsequent_indent=f"{indent}  ")
        lines = [line.replace(_TIE, " ") for line in lines]
    for line in lines:
        console.print(Text(line, style=style), soft_wrap=True, highlight=False)


def _describe_run(report: Report) -> str:
    run = report.run
    graphs = f"{run.graphs} graphs" if run.graphs else wording.NO_GRAPHS
    seed = f"{'fixed ' if run.fixed_seed else ''}seed {run.seed}"
    commit = (run.sha or "no commit")[:12] + (" + local changes" if run.dirty else "")
    what = f"{len(run.revisions)} revisions" if run.revisions else commit
    return f"{run.status.value}, {run.device}, {graphs}, {seed}, {what}"


def _print_tables(report: Report, console: Console) -> None:
    for view in make_cell_tables(report):
        print_view(view, " · ".join((", ".join(view.subject), *view.facts)), console)
    for title, view in make_earlier_tables(report):
        print_view(view, " · ".join((title, *view.subject, *view.facts)), console)
    if len(report.contrasts) >= _SEVERAL:
        print_view(make_contrast_table(report.contrasts), wording.CONTRASTS_TITLE, console)
    suites = group_by_suite(report.cells)
    for cells in suites:
        suite = f" of {cells[0].suite}" if len(suites) > 1 else ""
        print_view(make_kind_table(cells), wording.KINDS_TITLE + suite, console)
        print_view(make_test_table(cells), wording.TESTS_TITLE + suite, console)
        for line in list_unreached(cells):
            print_line(console, line, indent=" ")


def print_view(view: TableView, title: str, console: Console) -> None:
    """Print a table below a blank line and its title, if it has one; nothing without rows."""
    if not view.rows:
        return
    width = console.width if console.is_terminal else max(console.width, _UNBROKEN)
    if title:
        console.print()
        print_line(console, title, "bold")
    for line in lay_out(view, width - 1):
        line.pad_left(1)
        console.print(line, soft_wrap=True, highlight=False)


def _print_lists(report: Report, console: Console) -> None:
    if report.signatures:
        console.print()
    for signature in report.signatures[:_LISTED]:
        _print_signature(signature, console)
    if (left := len(report.signatures) - _LISTED) > 0:
        text = f"{left} more signatures: harness report {report.run.id} --html FILE lists them"
        print_line(console, text, "bold")
    for finding in report.audit[:_LISTED]:
        first, *rest = describe_finding(finding)
        print_line(console, f"audit: {first}", "bold")
        for line in rest:
            print_line(console, line, "dim", "    ")
    for line in list_advice(report):
        print_line(console, line, "bold")
    for line in list_warmups(report)[:_LISTED]:
        print_line(console, line, "yellow")
    for reason in report.infrastructure[:_LISTED]:
        first, *more = reason.splitlines() or [""]
        print_line(console, f"infrastructure: {first}", "yellow")
        for line in more[:_CAUSE_OF_LOSS]:
            print_line(console, line, "dim", "    ")
    for group in group_refused(report.refused):
        print_line(console, f"not run: {group.suite} · {group.text}: {group.reason}", "yellow")
    for note in list(dict.fromkeys(n for cell in report.cells for n in cell.notes))[:_LISTED]:
        print_line(console, f"note: {note}", "dim")


def _print_signature(signature: SignatureCount, console: Console) -> None:
    """Print a signature, its cause in a line or two, and where the logs are."""
    what = f"{signature.n}x {signature.kind} in {signature.phase or '-'}: {signature.signature}"
    print_line(console, what, "bold")
    for line in find_cause(signature.message):
        print_line(console, line, indent="    ")
    if signature.example:
        if signature.folder:
            log = _shorten_path(f"{signature.folder}/rank0.log")
            print_line(console, f"signature {signature.id}, log: {log}", "dim", "    ")
            if kept := list_evidence(Path(signature.folder)):
                print_line(console, f"evidence: {kept}", "dim", "    ")
        commands = f"harness show {signature.example} · harness rerun {signature.example}"
        print_line(console, commands, "dim", "    ")


def _shorten_path(path: str) -> str:
    """Return the path as one types it here: relative if it is below the current folder."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def find_cause(message: str) -> list[str]:
    """Return the lines of a message that say most: its first, or the last of a traceback.

    Hints that a library puts below each of its errors are left out.
    """
    lines = [clean_text(line).strip() for line in message.splitlines()]
    telling = [
        line
        for line in lines
        if line and not set(line) <= set("-=_ ~^") and not line.startswith(_HINTS)
    ]
    ends = telling[:1] == ["Traceback (most recent call last):"]
    chosen = telling[-_CAUSE_LINES:] if ends else telling[:_CAUSE_LINES]
    return [line if cell_len(line) <= 300 else f"{line[:299]}…" for line in chosen]

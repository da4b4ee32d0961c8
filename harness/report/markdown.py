"""A run as GitHub-flavoured Markdown: what a pull request's comment and a job's summary show.

A function of the typed report alone: the bot, which has no SciPy installed, renders what another
machine measured and `run_schema` checked. Every text of it goes through `neutral`.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from harness.analysis.report_model import CellRate, RefusedCell, Report, SignatureCount
from harness.core.neutral import neutral
from harness.report import audit_lines, wording
from harness.report.cell_table import group_by_suite, make_cell_tables, make_earlier_tables
from harness.report.detail_tables import (
    list_unreached,
    list_warmups,
    make_contrast_table,
    make_kind_table,
    make_test_table,
)
from harness.report.headline import describe_run, write_headline
from harness.report.markdown_limit import Section, fold, make_list, write_sections
from harness.report.refused_cells import group_refused
from harness.report.verdict_lines import select_sentences
from harness.report.views import Column, Entry, Row, Shape, TableView

#: From so many rows on a table is long.
_MANY = 30

#: Return what to type for a run with so many attempts per cell.
Command = Callable[[int], str]


def write_markdown(report: Report, limit: int, command: Command | None = None) -> str:
    """Return the run in at most `limit` bytes of UTF-8, the verdict first.

    Rows and sections that do not fit are left out from the least important on, and counted.
    """
    suites = group_by_suite(report.cells)
    sections = [
        _write_verdict(report),
        _write_next_run(report, command),
        *(table for view in make_cell_tables(report) for table in _write_cells(view)),
        *_write_earlier(report),
        _write_contrasts(report),
        _write_signatures(report.signatures),
        *(_write_kinds(cells) for cells in suites),
        _write_refused(report.refused),
        make_list("findings", f"**{audit_lines.TITLE}**", _write_audit(report)),
        make_list("warm-up attempts", f"**{wording.WARMUP_TITLE}**", _write_warmups(report)),
        _write_infrastructure(report.infrastructure),
        *(_write_tests(cells) for cells in suites),
        _write_notes(report, suites),
    ]
    return write_sections([section for section in sections if section.rows], limit)


def _write_verdict(report: Report) -> Section:
    """Return the outcome, what was measured, and the verdict's sentences."""
    rows = [f"### {write_headline(report)}\n\n{describe_run(report.run)}\n"]
    rows += [f"- {neutral(text, 1200)}" for text in select_sentences(report)]
    return Section("sentences", list(enumerate(rows)), most=40)


def _write_next_run(report: Report, command: Command | None) -> Section:
    needed = report.verdict.attempts_needed
    if needed is None:
        return Section("commands", [])
    row = f"**To decide what is open:** {wording.NEW_RUN.format(needed)}."
    if typed := command(needed) if command else "":
        shown = "".join(char for char in typed if char.isprintable() and char != "`")
        row += f"\n\n```text\n{shown}\n```"
    return Section("commands", [(0, row)])


def _write_cells(view: TableView) -> list[Section]:
    """Return a table of cells; of many, those in which nothing happened are behind a click."""
    suites = " · ".join(map(_write_code, view.subject))
    title = " · ".join((suites, *(neutral(fact) for fact in view.facts)))
    if len(view.rows) <= _MANY:
        return [_write_table(view, title)]
    eventful = [row for row in view.rows if not row.quiet]
    quiet = [row for row in view.rows if row.quiet]
    hidden = fold(_write_table(view, "", quiet), f"Cells of {suites} without a failure")
    return [_write_table(view, title, eventful), hidden]


def _write_earlier(report: Report) -> list[Section]:
    return [
        _write_table(view, f"**{neutral(title)}** · {', '.join(map(_write_code, view.subject))}")
        for title, view in make_earlier_tables(report)
    ]


def _write_contrasts(report: Report) -> Section:
    view = make_contrast_table(report.contrasts)
    title = wording.CONTRASTS_TITLE.capitalize()
    if len(view.rows) > _MANY:
        return fold(_write_table(view, "", most=100), title)
    return _write_table(view, f"**{title}**", most=100)


def _write_kinds(cells: Sequence[CellRate]) -> Section:
    view = make_kind_table(cells)
    title = wording.KINDS_TITLE.capitalize()
    if len(view.rows) > _MANY:
        return fold(_write_table(view, ""), f"{title} of {_write_code(cells[0].suite)}")
    return _write_table(view, f"**{title}** of {_write_code(cells[0].suite)}")


def _write_tests(cells: Sequence[CellRate]) -> Section:
    title = f"{wording.TESTS_TITLE.capitalize()} of {_write_code(cells[0].suite)}"
    return fold(_write_table(make_test_table(cells), "", most=100), title)


def _write_table(
    view: TableView, title: str, rows: Sequence[Row] | None = None, most: int | None = None
) -> Section:
    """Return a table of `rows`, or of all; numbers stay on one line."""
    sides = ["---:" if column.shape is Shape.NUMBER else "---" for column in view.columns]
    names = [column.name for column in view.columns]
    head = [title, ""] if title else []
    head += [f"| {' | '.join(names)} |", f"| {' | '.join(sides)} |"]
    lines = [
        (row.rank, f"| {' | '.join(map(_write_entry, view.columns, row.entries))} |")
        for row in (view.rows if rows is None else rows)
    ]
    return Section(view.what, lines, "\n".join(head), most=most)


def _write_entry(column: Column, entry: Entry) -> str:
    if column.shape is Shape.NAME:
        return f"<code>{neutral(entry.text, 400)}</code>"
    if column.shape is Shape.NUMBER:
        return entry.text if len(entry.text) > 30 else entry.text.replace(" ", "\u00a0")
    return f"**{neutral(entry.text)}**" if entry.marked else neutral(entry.text)


def _write_code(text: str) -> str:
    return f"<code>{neutral(text, 1000)}</code>"


def _write_signatures(signatures: Sequence[SignatureCount]) -> Section:
    rows = [
        f"- {one.n} × {neutral(one.kind, 100)} in {neutral(one.phase, 100) or '-'}: "
        f"<code>{neutral(one.signature, 600)}</code>"
        for one in signatures
    ]
    return make_list("failure signatures", "**Failure signatures**", rows)


def _write_refused(refused: Sequence[RefusedCell]) -> Section:
    rows = [
        f"- {_write_code(group.suite)}: {neutral(group.reason, 600)} "
        f"({len(group.labels)} × {neutral(group.text, 400)})"
        for group in group_refused(refused)
    ]
    return make_list("reasons for cells not run", "**Not run**", rows)


def _write_audit(report: Report) -> list[str]:
    return [f"- {neutral(line, 1500)}" for line in audit_lines.list_findings(report)]


def _write_warmups(report: Report) -> list[str]:
    return [f"- {neutral(line, 1000)}" for line in list_warmups(report)]


def _write_infrastructure(reasons: Sequence[str]) -> Section:
    """Return each reason once: the attempt's id, which comes first, tells them apart."""
    firsts = [text.partition("\n")[0] for text in reasons]
    counted = Counter(text.partition(": ")[2] or text for text in firsts)
    rows = [f"- {n} × <code>{neutral(text, 600)}</code>" for text, n in counted.most_common()]
    return make_list("reasons", "**Infrastructure**, outside of every rate", rows)


def _write_notes(report: Report, suites: Sequence[Sequence[CellRate]]) -> Section:
    notes = [f"{one.rev}: {note}" for one in report.run.revisions for note in one.notes]
    notes += [note for cell in report.cells for note in cell.notes]
    notes += [text for cells in suites for text in list_unreached(cells)]
    rows = [f"- {neutral(note, 600)}" for note in dict.fromkeys(notes)]
    return fold(make_list("notes", "", rows), "Notes")

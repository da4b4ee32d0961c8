"""A run as GitHub-flavoured Markdown: what a pull request's comment and a job's summary show.

A function of the `run.json` object alone, valid by `schema.problems`: the bot, which has no
statistics installed, renders what another machine measured. Every text of it goes through
`neutral`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.core.cell import cell_from_dict
from harness.core.neutral import neutral
from harness.report.fitting import Section, fit, folded, listed
from harness.report.headline import headline, measured
from harness.report.markdown_tables import cell_tables, contrasts, kinds, tests
from harness.report.sentences import shown

Run = Mapping[str, Any]


def markdown(run: Run, limit: int, command: Callable[[int], str] | None = None) -> str:
    """The run in at most `limit` bytes of UTF-8, the verdict first.

    Rows and sections that do not fit are left out from the least important on, and counted.
    `command`: what to type for a run with so many attempts per cell.
    """
    cells: dict[str, list[Run]] = {}
    for cell in run["cells"]:
        cells.setdefault(cell["suite"], []).append(cell)
    sections = [
        _verdict(run),
        _what_decides(run, command),
        *(table for of_suite in cells.values() for table in cell_tables(of_suite)),
        contrasts(run["contrasts"]),
        _signatures(run["signatures"]),
        *(kinds(of_suite) for of_suite in cells.values()),
        _refused(run["refused"]),
        _infrastructure(run["infrastructure"]),
        *(tests(of_suite) for of_suite in cells.values()),
        _notes(run),
    ]
    return fit([section for section in sections if section.rows], limit)


def _verdict(run: Run) -> Section:
    """The outcome, what it was measured on, and the sentences, few enough to be read."""
    rows = [f"### {headline(run)}\n\n{measured(run)}\n"]
    told = shown(run["verdict"]["sentences"], run["contrasts"], "their table has the counts")
    rows += [f"- {neutral(text, 1200)}" for text in told]
    return Section("sentences", list(enumerate(rows)), most=40)


def _what_decides(run: Run, command: Callable[[int], str] | None) -> Section:
    needed = run["verdict"]["attempts_needed"]
    if needed is None:
        return Section("commands", [])
    row = f"**To decide what is open:** {needed} attempts per cell, as a run of their own."
    if typed := command(needed) if command else "":
        shown = "".join(char for char in typed if char.isprintable() and char != "`")
        row += f"\n\n```text\n{shown}\n```"
    return Section("commands", [(0, row)])


def _signatures(signatures: Sequence[Run]) -> Section:
    rows = [
        f"- {one['n']} × {neutral(one['kind'], 100)} in {neutral(one['phase'], 100) or '-'}: "
        f"<code>{neutral(one['signature'], 600)}</code>"
        for one in signatures
    ]
    return listed("failure signatures", "**Failure signatures**", rows)


def _refused(refused: Sequence[Run]) -> Section:
    alike: dict[tuple[str, str], list[str]] = {}
    for one in refused:
        label = cell_from_dict(one["axes"]).label
        alike.setdefault((one["suite"], one["reason"]), []).append(label)
    rows = [
        f"- <code>{neutral(suite, 1000)}</code>: {neutral(reason, 600)} "
        f"({len(labels)} × {neutral('; '.join(labels), 400)})"
        for (suite, reason), labels in alike.items()
    ]
    return listed("reasons for cells not run", "**Not run**", rows)


def _infrastructure(reasons: Sequence[str]) -> Section:
    """Each reason once: the attempt's id, which comes first, tells them apart."""
    counted = Counter(text.partition(": ")[2] or text for text in reasons)
    rows = [f"- {n} × <code>{neutral(text, 600)}</code>" for text, n in counted.most_common()]
    return listed("reasons", "**Infrastructure**, outside of every rate", rows)


def _notes(run: Run) -> Section:
    of_revisions = [
        f"{one['rev']}: {note}" for one in run["run"]["revisions"] for note in one["notes"]
    ]
    noted = dict.fromkeys([*of_revisions, *(n for cell in run["cells"] for n in cell["notes"])])
    return folded(listed("notes", "", [f"- {neutral(note, 600)}" for note in noted]), "Notes")

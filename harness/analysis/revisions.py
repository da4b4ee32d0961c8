"""What a comparison of revisions must be read with: which commits, and what is not comparable."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from harness.analysis.cells import CellSummary
from harness.analysis.summary import RunSummary, cell_of
from harness.core.plan import PlannedCell
from harness.core.revision import AXIS, CHANGED, Revision, revision_to_dict

_NAMED = 3


def revision_lines(revisions: Sequence[Revision]) -> list[str]:
    """One line per revision, the base first: its label, its commit, what to know of it."""
    lines = []
    for revision in revisions:
        role = "base" if revision is revisions[0] else "head"
        lines.append(f"{role} {revision.label} is {revision.named}, commit {revision.sha}")
        lines += [f"  {role} {revision.label}: {note}" for note in revision.notes]
    if len({revision.python for revision in revisions}) == 1:
        lines.append(f"all revisions run with the packages installed for {revisions[0].python}")
    return lines


def revisions_json(revisions: Sequence[Revision]) -> list[dict[str, Any]]:
    """The revisions in `run.json`, the base first. `rev` is the value on the axis."""
    return [{"rev": stored.pop("label"), **stored} for stored in map(revision_to_dict, revisions)]


def unmeasured(summary: RunSummary) -> list[PlannedCell]:
    """Cells of heads that could not be measured: the base's results say nothing of them."""
    heads = {revision.label for revision in summary.plan.revisions[1:]}
    return [planned for planned in summary.refused if planned.cell.get(AXIS) in heads]


def revision_sentences(summary: RunSummary) -> list[str]:
    """What keeps revisions from being compared, or limits what their comparison says."""
    if not summary.plan.revisions:
        return []
    base = summary.plan.revisions[0].label
    told = dict.fromkeys(
        f"cannot compare head {planned.cell.get(AXIS)} with base {base} on {planned.suite}: "
        f"{planned.refused}"
        for planned in unmeasured(summary)
    )
    told |= dict.fromkeys(_changed(summary))
    by_suite = {
        (suite, revision.label): _ran(summary.cells, suite, revision.label)
        for suite in dict.fromkeys(cell.suite for cell in summary.cells)
        for revision in summary.plan.revisions
    }
    for (suite, label), tests in by_suite.items():
        before = by_suite[suite, base]
        if tests and before and label != base:
            told[_missing(f"head {label}", f"base {base}", before - tests)] = None
            told[_missing(f"base {base}", f"head {label}", tests - before)] = None
    return [sentence for sentence in told if sentence]


def _changed(summary: RunSummary) -> list[str]:
    """Revisions whose worktree did not stay what the commit holds."""
    marked = [a for a in summary.attempts if any(note.startswith(CHANGED) for note in a.notes)]
    counts = Counter(cell_of(attempt.cell).get(AXIS) for attempt in marked)
    return [
        f"rev {label}: a test changed tracked files of its worktree (see the notes); {n} attempts "
        "ended so, and may not have measured the commit"
        for label, n in counts.items()
    ]


def _ran(cells: Sequence[CellSummary], suite: str, label: str) -> set[str]:
    """Tests that passed or failed at least once."""
    mine = [cell for cell in cells if cell.suite == suite and cell.cell.get(AXIS) == label]
    return {test.id for cell in mine for test in cell.tests if test.passed or test.failed}


def _missing(here: str, there: str, tests: set[str]) -> str:
    if not tests:
        return ""
    named = ", ".join(sorted(tests)[:_NAMED]) + (", ..." if len(tests) > _NAMED else "")
    return (
        f"{here} never ran {len(tests)} of the tests that {there} ran ({named}): skipped, removed "
        "or not reached there, so the two rates are not of the same tests"
    )

"""What a comparison of revisions must be read with: which commits, and what is not comparable."""

from collections import Counter
from collections.abc import Sequence

from harness.analysis.report_model import CellRate, MeasuredRevision
from harness.analysis.run_counts import RunCounts
from harness.core.cell import parse_cell_key
from harness.core.plan import PlannedCell
from harness.core.revision import AXIS, CHANGED, Revision

_NAMED = 3


def list_revisions(revisions: Sequence[MeasuredRevision]) -> list[str]:
    """Return a line per revision, the base first: its label, its commit, its notes."""
    lines = []
    for revision in revisions:
        role = "base" if revision is revisions[0] else "head"
        lines.append(f"{role} {revision.rev} is {revision.named}, commit {revision.sha}")
        lines += [f"  {role} {revision.rev}: {note}" for note in revision.notes]
    if len({revision.python for revision in revisions}) == 1:
        lines.append(f"all revisions run with the packages installed for {revisions[0].python}")
    return lines


def describe_revision(revision: Revision) -> MeasuredRevision:
    """Return a planned revision as its report holds it."""
    return MeasuredRevision(
        rev=revision.label,
        named=revision.named,
        sha=revision.sha,
        python=revision.python,
        folder=revision.folder,
        notes=revision.notes,
    )


def list_unmeasured(counts: RunCounts) -> list[PlannedCell]:
    """Return cells of heads that could not be measured: the base's results say nothing of them."""
    heads = {revision.label for revision in counts.plan.revisions[1:]}
    return [planned for planned in counts.refused if planned.cell.get(AXIS) in heads]


def describe_revision_limits(counts: RunCounts) -> list[str]:
    """Return what keeps revisions from being compared, or limits what their comparison says."""
    if not counts.plan.revisions:
        return []
    base = counts.plan.revisions[0].label
    told = dict.fromkeys(
        f"cannot compare head {planned.cell.get(AXIS)} with base {base} on {planned.suite}: "
        f"{planned.refused}"
        for planned in list_unmeasured(counts)
    )
    told |= dict.fromkeys(_list_changed(counts))
    by_suite = {
        (suite, revision.label): _find_tests(counts.cells, suite, revision.label)
        for suite in dict.fromkeys(cell.suite for cell in counts.cells)
        for revision in counts.plan.revisions
    }
    for (suite, label), tests in by_suite.items():
        before = by_suite[suite, base]
        if tests and before and label != base:
            told[_describe_missing(f"head {label}", f"base {base}", before - tests)] = None
            told[_describe_missing(f"base {base}", f"head {label}", tests - before)] = None
    return [sentence for sentence in told if sentence]


def _list_changed(counts: RunCounts) -> list[str]:
    """Return a sentence per revision whose worktree did not stay what the commit holds."""
    marked = [a for a in counts.attempts if any(note.startswith(CHANGED) for note in a.notes)]
    ended = Counter(parse_cell_key(attempt.cell).get(AXIS) for attempt in marked)
    return [
        f"rev {label}: a test changed tracked files of its worktree (see the notes); {n} attempts "
        "ended so, and may not have measured the commit"
        for label, n in ended.items()
    ]


def _find_tests(cells: Sequence[CellRate], suite: str, label: str) -> set[str]:
    """Return the tests that passed or failed at least once."""
    mine = [cell for cell in cells if cell.suite == suite and cell.axes.get(AXIS) == label]
    return {test.id for cell in mine for test in cell.tests if test.passed or test.failed}


def _describe_missing(here: str, there: str, tests: set[str]) -> str:
    if not tests:
        return ""
    named = ", ".join(sorted(tests)[:_NAMED]) + (", ..." if len(tests) > _NAMED else "")
    return (
        f"{here} never ran {len(tests)} of the tests that {there} ran ({named}): skipped, removed "
        "or not reached there, so the two rates are not of the same tests"
    )

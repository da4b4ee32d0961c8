"""A comparison of two runs as a report, so that every format can show it. Pure.

The runs are values on an axis of their own: each cell of either run is a row, and each comparison
is a contrast on that axis. The outcome is `failed` if any attempt of either run failed.
"""

from collections.abc import Sequence
from dataclasses import replace

from harness.analysis.build_report import build_report
from harness.analysis.contrast_pairs import ContrastPair
from harness.analysis.contrast_results import make_contrast_result
from harness.analysis.report_model import CellRate, ContrastResult, Report, RunFacts, VerdictResult
from harness.analysis.run_comparison import RunComparison
from harness.analysis.run_counts import RunCounts, count_signatures
from harness.analysis.verdict import judge_run
from harness.core.cell import Cell, parse_cell_key
from harness.core.exits import ExitCode
from harness.core.records import AttemptRow
from harness.core.statuses import VerdictOutcome

#: The axis whose values are the two runs.
AXIS = "run"


def report_comparison(found: RunComparison) -> Report:
    """Return the report of a comparison."""
    contrasts = tuple(_make_contrasts(found))
    signatures = count_signatures([*found.base.newest, *found.head.newest])
    return Report(
        run=_collect_facts(found),
        cells=tuple(_list_cells(found)),
        refused=(),
        contrasts=contrasts,
        signatures=signatures,
        infrastructure=(*found.base.infrastructure, *found.head.infrastructure),
        gate=None,
        attribution=None,
        verdict=VerdictResult(
            _choose_outcome(found), tuple(_list_sentences(found, contrasts)), None
        ),
    )


def mark_attempts(counts: RunCounts) -> list[AttemptRow]:
    """Return a run's attempts with the run as a value of their cell, as the report has it."""
    return [replace(row, cell=_mark(parse_cell_key(row.cell), counts).key) for row in counts.newest]


def _mark(cell: Cell, counts: RunCounts) -> Cell:
    return Cell(((AXIS, counts.run.id), *cell.axes))


def _collect_facts(found: RunComparison) -> RunFacts:
    facts = build_report(found.head, judge_run(found.head)).run
    return replace(facts, id=f"{found.base.run.id}..{found.head.run.id}", revisions=())


def _list_cells(found: RunComparison) -> list[CellRate]:
    """Return the compared cells in pairs, then those of one run alone."""
    by_name = [{cell.name: cell for cell in run.cells} for run in (found.base, found.head)]
    cells = []
    for names in found.names:
        for run, cells_of_run, name in zip((found.base, found.head), by_name, names, strict=True):
            cells.append(_mark_cell(cells_of_run.pop(name), run))
    for run, left in zip((found.base, found.head), by_name, strict=True):
        cells += [_mark_cell(cell, run) for cell in left.values()]
    return cells


def _mark_cell(cell: CellRate, counts: RunCounts) -> CellRate:
    return replace(cell, name=f"run {counts.run.id}: {cell.name}", axes=_mark(cell.axes, counts))


def _make_contrasts(found: RunComparison) -> list[ContrastResult]:
    suites = {cell.name: cell for cell in found.base.cells}
    return [
        make_contrast_result(_make_pair(found, suites[before], after), contrast)
        for (before, after), contrast in zip(found.names, found.contrasts, strict=True)
    ]


def _make_pair(found: RunComparison, cell: CellRate, head_name: str) -> ContrastPair:
    return ContrastPair(
        suite=cell.suite,
        axis=AXIS,
        value=found.head.run.id,
        reference=found.base.run.id,
        where=cell.axes.label,
        arm=head_name,
        base=cell.name,
    )


def _choose_outcome(found: RunComparison) -> VerdictOutcome:
    if found.exit_code is ExitCode.UNDECIDED:
        return VerdictOutcome.UNDECIDED
    failed = any(cell.failed for run in (found.base, found.head) for cell in run.cells)
    return VerdictOutcome.FAILED if failed else VerdictOutcome.PASSED


def _list_sentences(found: RunComparison, contrasts: Sequence[ContrastResult]) -> tuple[str, ...]:
    changes = found.changes or ["nothing recorded but the attempts' seeds"]
    return (
        *(contrast.sentence for contrast in contrasts),
        *(f"not compared: {name}" for name in found.only_in_one),
        *(f"changed between the runs, which may be why: {change}" for change in changes),
    )

"""`harness compare RUN_A RUN_B`: did the rate change from A to B, and what else did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from harness.analysis.history import collect_series
from harness.analysis.run_changes import list_changes
from harness.analysis.run_counts import RunCounts, count_run
from harness.core.errors import UsageError
from harness.core.exits import ExitCode
from harness.stats.between_runs import judge_between_runs
from harness.stats.change_points import RunTally
from harness.stats.contrasts import Contrast, Finding
from harness.stats.judge import judge_question
from harness.stats.planned import CellOutcomes, PlannedContrast, Question
from harness.stats.wording import describe_contrast
from harness.store.open import open_store
from harness.store.store import Store

#: So many other runs of the store say how runs vary.
_NEWEST = 50


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Every cell that both runs measured, and what differs between them beside the fix."""

    contrasts: tuple[Contrast, ...]
    only_in_one: list[str]
    changes: list[str]
    exit_code: ExitCode


def print_comparison(base: str, head: str, location: str | None) -> int:
    """Print whether `head` fails less or more often than `base`. Returns the exit code."""
    store = open_store(location, write=False)
    try:
        runs = [store.run(name) for name in (base, head)]
        before, after = (count_run(run, store.attempts(run.id), []) for run in runs)
        history = _read_history(store, {run.id for run in runs})
    finally:
        store.close()
    found = compare_runs(before, after, history)
    console = Console()
    for contrast in found.contrasts:
        console.print(f"[bold]•[/] {escape(describe_contrast(contrast))}", soft_wrap=True)
    for name in found.only_in_one:
        console.print(f"[yellow]not compared[/] {escape(name)}", soft_wrap=True)
    told = found.changes or ["nothing recorded but the attempts' seeds"]
    console.print("changed between the runs, any of which may be why:")
    for change in told:
        console.print(f"  {escape(change)}", soft_wrap=True)
    return found.exit_code


#: Earlier runs of each cell that both runs share, by suite and all axes.
History = Mapping[str, Sequence[RunTally]]


def _read_history(store: Store, compared: set[str]) -> History:
    """Return the tallies of the newest other runs in the store."""
    records = [record for record in store.runs() if record.id not in compared][:_NEWEST]
    series = collect_series((record, store.attempts(record.id), []) for record in records)
    return {f"{s.name} · {s.cell}": [point.tally for point in s.points] for s in series}


def compare_runs(base: RunCounts, head: RunCounts, history: History) -> RunComparison:
    """Judge each cell of both runs by the rules of a run, Holm or Bonferroni among all cells.

    Fixed-number methods if both runs completed their plans unseen, else those that hold at every
    look. A difference counts only if it is also larger than those between the history's runs of
    the cell. Raise UsageError if the runs share no cell, are one run, or repeat one seed.
    """
    _check_comparable(base, head)
    before, after = _cells(base), _cells(head)
    shared = [name for name in before if name in after]
    if not shared:
        raise UsageError(f"runs {base.run.id} and {head.run.id} share no cell to compare")
    cells = {f"base {name}": before[name] for name in shared}
    cells |= {f"head {name}": after[name] for name in shared}
    planned = tuple(
        PlannedContrast(f"head {name}", f"base {name}", head.run.id, base.run.id, name)
        for name in shared
    )
    anytime = any(run.plan.until_decided or not run.complete for run in (base, head))
    judged = judge_question(Question(planned, until_decided=anytime), cells).contrasts
    contrasts = tuple(
        judge_between_runs(one, history.get(one.where, ()), len(judged)) for one in judged
    )
    lone = [
        f"{name}: only in run {run.run.id}"
        for run, own, other in ((base, before, after), (head, after, before))
        for name in own
        if name not in other
    ]
    return RunComparison(contrasts, lone, list_changes(base.run, head.run), _exit_code(contrasts))


def _cells(summary: RunCounts) -> dict[str, CellOutcomes]:
    """Outcomes by suite and all axes, which name a cell alike in both runs."""
    return {
        f"{cell.suite} · {cell.axes.label}": summary.outcomes[cell.name] for cell in summary.cells
    }


def _check_comparable(base: RunCounts, head: RunCounts) -> None:
    if base.run.id == head.run.id:
        raise UsageError(f"{base.run.id} is one run: name two")
    for run in (base, head):
        if run.plan.fixed_seed:
            raise UsageError(
                f"run {run.run.id} repeats one fixed seed: that is one observation, not a rate"
            )


def _exit_code(contrasts: tuple[Contrast, ...]) -> ExitCode:
    """1 where a cell became worse, 0 where one became better and none worse, else undecided."""
    decided = [c.comparison for c in contrasts if c.finding is Finding.DIFFERENT and c.comparison]
    if any(comparison.effect > 0 for comparison in decided):
        return ExitCode.FAILURES
    return ExitCode.OK if decided else ExitCode.UNDECIDED

"""Two stored runs: did the rate change from one to the other, and what else did. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.run_changes import list_changes
from harness.analysis.run_counts import RunCounts
from harness.core.errors import UsageError
from harness.core.exits import ExitCode
from harness.stats.between_runs import judge_between_runs
from harness.stats.change_points import RunTally
from harness.stats.contrasts import Contrast, Finding
from harness.stats.judge import judge_question
from harness.stats.planned import PlannedContrast, Question


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Every cell that both runs measured, and what differs between them beside the fix."""

    base: RunCounts
    head: RunCounts
    names: tuple[tuple[str, str], ...]
    """The names of each compared cell in the base and in the head."""
    contrasts: tuple[Contrast, ...]
    only_in_one: list[str]
    changes: list[str]
    exit_code: ExitCode


#: Earlier runs of each cell that both runs share, by suite and all axes.
History = Mapping[str, Sequence[RunTally]]


def compare_runs(base: RunCounts, head: RunCounts, history: History) -> RunComparison:
    """Judge each cell of both runs by the rules of a run, Holm or Bonferroni among all cells.

    Fixed-number methods if both runs completed their plans unseen, else those that hold at
    every look. A difference counts only if it is also larger than those between the history's runs
    of the cell. Raise UsageError if the runs share no cell, are one run, or repeat one seed.
    """
    _check_comparable(base, head)
    before, after = _name_cells(base), _name_cells(head)
    shared = [name for name in before if name in after]
    if not shared:
        raise UsageError(f"runs {base.run.id} and {head.run.id} share no cell to compare")
    cells = {f"base {name}": base.outcomes[before[name]] for name in shared}
    cells |= {f"head {name}": head.outcomes[after[name]] for name in shared}
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
    return RunComparison(
        base=base,
        head=head,
        names=tuple((before[name], after[name]) for name in shared),
        contrasts=contrasts,
        only_in_one=lone,
        changes=list_changes(base.run, head.run),
        exit_code=_choose_exit_code(contrasts),
    )


def _name_cells(counts: RunCounts) -> dict[str, str]:
    """Return the names in the run by suite and all axes, which name a cell alike in both runs."""
    return {f"{cell.suite} · {cell.axes.label}": cell.name for cell in counts.cells}


def _check_comparable(base: RunCounts, head: RunCounts) -> None:
    if base.run.id == head.run.id:
        raise UsageError(f"{base.run.id} is one run: name two")
    for run in (base, head):
        if run.plan.fixed_seed:
            raise UsageError(
                f"run {run.run.id} repeats one fixed seed: that is one observation, not a rate"
            )


def _choose_exit_code(contrasts: tuple[Contrast, ...]) -> ExitCode:
    """Return 1 if a cell became worse, 0 if one became better and none worse, else undecided."""
    decided = [c.comparison for c in contrasts if c.finding is Finding.DIFFERENT and c.comparison]
    if any(comparison.effect > 0 for comparison in decided):
        return ExitCode.FAILURES
    return ExitCode.OK if decided else ExitCode.UNDECIDED

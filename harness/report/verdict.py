"""The verdict of a run in words, and the exit code that follows from it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.core.exits import ExitCode
from harness.core.kinds import Kind
from harness.report.contrasts import Contrast, planned_contrasts
from harness.report.summary import CellSummary, RunSummary
from harness.report.words import kinds_text, percent
from harness.stats.intervals import upper_bound


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the run says. `outcome`: passed, failed, no-tests, cannot-say or interrupted."""

    outcome: str
    sentences: list[str]
    contrasts: list[Contrast]
    exit_code: ExitCode


def decide(summary: RunSummary) -> Verdict:
    """Decide a counted run."""
    contrasts = [] if summary.plan.fixed_seed else planned_contrasts(summary)
    outcome, code = _outcome(summary)
    sentences = [*_headline(summary, outcome), *(contrast.sentence for contrast in contrasts)]
    return Verdict(outcome, sentences, contrasts, code)


def _outcome(summary: RunSummary) -> tuple[str, ExitCode]:
    cells = summary.cells
    if summary.run.status == "interrupted":
        return "interrupted", ExitCode.INTERRUPTED
    if any(_only_no_tests(cell) for cell in cells):
        return "no-tests", ExitCode.NO_TESTS
    if not cells or any(cell.valid == 0 for cell in cells):
        return "cannot-say", ExitCode.NO_VALID_ATTEMPT
    if any(cell.failed for cell in cells):
        return "failed", ExitCode.FAILURES
    return "passed", ExitCode.OK


def _only_no_tests(cell: CellSummary) -> bool:
    return cell.failed > 0 and set(cell.kinds) == {Kind.NO_TESTS.value}


def _headline(summary: RunSummary, outcome: str) -> list[str]:
    cells = summary.cells
    failed, valid = sum(c.failed for c in cells), sum(c.valid for c in cells)
    if outcome == "no-tests":
        empty = dict.fromkeys(c.suite for c in cells if _only_no_tests(c))
        return [f"{', '.join(empty)} collected no test: check the node id and -k"]
    told = [f"{failed}/{valid} valid attempts failed" + _kinds(cells)]
    if outcome == "interrupted":
        left = sum(cell.unfinished for cell in cells)
        told.append(
            f"interrupted with {left} attempts not run: intervals are anytime-valid; "
            f"harness run --resume {summary.run.id} finishes them"
        )
        told += [_censored(cell, cells) for cell in cells if cell.censored]
    if outcome == "cannot-say":
        told += [f"cannot say anything of {_name(c, cells)}: no valid attempt" for c in cells
                 if c.valid == 0]  # fmt: skip
    if summary.plan.fixed_seed:
        told.append(_deterministic(failed, valid))
    elif not failed and valid:
        told += _proved(cells)
    return told


def _kinds(cells: Sequence[CellSummary]) -> str:
    total: dict[str, int] = {}
    for cell in cells:
        for kind, n in cell.kinds.items():
            total[kind] = total.get(kind, 0) + n
    return f" ({kinds_text(total)})" if total else ""


def _censored(cell: CellSummary, cells: Sequence[CellSummary]) -> str:
    low, high = (percent(bound) for bound in cell.worst_case)
    return (
        f"{_name(cell, cells)}: {cell.censored} killed in flight are censored; had they all passed "
        f"or all failed, the rate would be {low} or {high}"
    )


def _deterministic(failed: int, valid: int) -> str:
    same = "the same result each time" if failed in (0, valid) else "results that differ"
    return (
        f"one fixed seed, {valid} times: {same}; repeats of one seed are one observation, "
        "so no rate is claimed"
    )


def _proved(cells: Iterable[CellSummary]) -> list[str]:
    """What zero failures bound, per number of attempts: one-sided, at 95 %."""
    sizes = sorted({cell.valid for cell in cells if cell.valid})
    return [
        f"0/{n} bounds a cell's failure rate below {percent(upper_bound(0, n).high)} "
        "(one-sided, 95 %)"
        for n in sizes
    ]


def _name(cell: CellSummary, cells: Sequence[CellSummary]) -> str:
    several = len({c.suite for c in cells}) > 1
    return f"{cell.suite} · {cell.cell.label}" if several else cell.cell.label

"""`harness calibrate`: known faults and a clean control through the ordinary pipeline."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.core.errors import UsageError
from harness.core.exits import ExitCode
from harness.core.kinds import Kind
from harness.core.records import AttemptRow
from harness.core.statuses import VALID, AttemptStatus
from harness.diagnosis.scoreboard import Score, Scoreboard, count_right
from harness.diagnosis.truth import Truth, read_truth
from harness.driver.commands.diagnose import choose_failing, examine
from harness.driver.experiments import Laboratory, Measured, open_laboratory
from harness.driver.options import RunOptions
from harness.driver.spelling import spell_suite
from harness.driver.stopping import Ended

FOLDER = Path("suites/faults")
CONTROL = FOLDER / "test_clean_control.py"

#: Attempts of `--quick` per fault at most, and of the clean control.
QUICK_ATTEMPTS, QUICK_CLEAN = 16, 20

#: Attempts per cell of a whole calibration, and of the clean control.
FULL_ATTEMPTS, FULL_CLEAN = 10, 200

#: Attempts of a fault that hangs cost its whole timeout.
HANGING_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is asked for."""

    quick: bool
    only: str | None = None
    json: Path | None = None
    device: str = "auto"
    slots: int | None = None


def calibrate(wanted: Calibration, location: str | None) -> int:
    """Run every known fault and the clean control. Return the exit code.

    0: every fault was detected, of the right kind, and the control never failed; 1: not so.
    """
    truths = find_truths(wanted.only)
    options = RunOptions(suites=(str(CONTROL),), device=wanted.device, slots=wanted.slots)
    scores: list[Score] = []
    console = Console()
    with open_laboratory(options, location) as laboratory:
        for truth in truths:
            scores.append(_score(truth, laboratory, wanted))
            console.print(_tell_progress(scores[-1]), soft_wrap=True, highlight=False)
        alarms, clean = _run_control(laboratory, wanted)
    board = Scoreboard(tuple(scores), alarms, clean)
    if wanted.json is not None:
        wanted.json.write_text(json.dumps(board.as_dict(), indent=1) + "\n", encoding="utf-8")
    _print_board(console, board)
    return ExitCode.OK if board.is_good else ExitCode.FAILURES


def find_truths(only: str | None) -> list[Truth]:
    """Return the known faults, by name. Raise UsageError if there are none such."""
    found = [read_truth(path) for path in sorted(FOLDER.glob("test_*.py"))]
    truths = [one for one in found if one and (only is None or one.fault == only)]
    if not truths:
        raise UsageError(
            f"no known fault {only or ''} in {FOLDER}: run this in a checkout of the project"
        )
    return truths


def make_options(truth: Truth, wanted: Calibration) -> RunOptions:
    """Return the run that shows a fault: the failing cell alone if quick, else all its cells."""
    axes = {"order": ("ascending",), "tp": ("1",), **truth.axes}
    axes = {name: values[:1] if wanted.quick else values for name, values in axes.items()}
    repeats = QUICK_ATTEMPTS if wanted.quick else FULL_ATTEMPTS
    hangs = truth.kind == Kind.HANG
    return RunOptions(
        suites=(spell_suite(truth.suite),),
        repeats=min(repeats, HANGING_ATTEMPTS) if hangs else repeats,
        device=wanted.device,
        slots=wanted.slots,
        timeout_s=float(truth.options.get("timeout_s", 60.0)),
        **split_axes(axes),
    )


def split_axes(axes: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return axes as the options that name them: variables are in capitals."""
    named = {n: tuple(v) for n, v in axes.items() if n in ("order", "tp", "caches", "backend")}
    rest = {n: ",".join(values) for n, values in axes.items() if n not in named}
    return {
        **named,
        "axis": tuple(f"{n}={text}" for n, text in rest.items() if not n.isupper()),
        "env": tuple(f"{n}={text}" for n, text in rest.items() if n.isupper()),
    }


def has_failure(ended: Collection[Ended]) -> bool:
    """Return whether any attempt failed."""
    return any(one.status is AttemptStatus.FAILED for one in ended)


def _score(truth: Truth, laboratory: Laboratory, wanted: Calibration) -> Score:
    options = make_options(truth, wanted)
    if wanted.quick:
        return make_score(truth, laboratory.run(options, has_failure))
    measured = laboratory.run(options)
    attribution = measured.report.attribution
    score = make_score(truth, measured, attribution.named if attribution else ())
    return _add_mechanism(score, measured, options, laboratory)


def _add_mechanism(
    score: Score, measured: Measured, options: RunOptions, laboratory: Laboratory
) -> Score:
    """Diagnose the cell in which most attempts failed."""
    failed = [row for row in measured.rows if row.status is AttemptStatus.FAILED]
    if not failed:
        return score
    device = measured.report.run.device
    outcome = examine(choose_failing(options, device, failed), laboratory)
    made = sum(trial.tally.valid for trial in outcome.trials if trial.name != "device")
    told = outcome.diagnosis
    return replace(
        score, attempts=score.attempts + made, mechanism=told.named, fitting=told.fitting
    )


def make_score(truth: Truth, measured: Measured, factors: tuple[str, ...] | None = None) -> Score:
    """Return what a run found of a fault."""
    rows = [row for row in measured.rows if row.status in VALID]
    failed = [row for row in rows if row.status is AttemptStatus.FAILED]
    return Score(truth, count_kinds(failed), len(rows), _count_to_failure(rows), factors)


def count_kinds(failed: Sequence[AttemptRow]) -> dict[str, int]:
    """Return how often each kind was seen."""
    kinds = [str(row.kind) for row in failed]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def _count_to_failure(rows: Sequence[AttemptRow]) -> int:
    for count, row in enumerate(rows, start=1):
        if row.status is AttemptStatus.FAILED:
            return count
    return 0


def _run_control(laboratory: Laboratory, wanted: Calibration) -> tuple[int, int]:
    """Return the clean control's failures, and its valid attempts."""
    attempts = QUICK_CLEAN if wanted.quick else FULL_CLEAN
    options = RunOptions(
        suites=(spell_suite(str(CONTROL)),), repeats=attempts // 2, device=wanted.device,
        slots=wanted.slots, order=("ascending", "descending"), tp=("1",),
        backend=("torch_native",), timeout_s=60.0,
    )  # fmt: skip
    rows = [row for row in laboratory.run(options).rows if row.status in VALID]
    return sum(row.status is AttemptStatus.FAILED for row in rows), len(rows)


def _tell_progress(score: Score) -> str:
    kinds = ", ".join(f"{kind} {n}" for kind, n in score.kinds.items()) or "no failure"
    return f"{score.truth.fault}: {kinds}, {score.attempts} attempts"


def _print_board(console: Console, board: Scoreboard) -> None:
    table = Table("fault", "detected", "kind", "follows", "class", "attempts", box=None)
    for one in board.scores:
        table.add_row(
            one.truth.fault,
            f"after {one.first_failure}" if one.is_detected else "no",
            _show(one.is_kind_right, ", ".join(one.kinds)),
            _show(one.is_factor_right, ", ".join(one.factors or ()) or "nothing"),
            _show(one.is_mechanism_right, one.mechanism or "none"),
            str(one.attempts),
        )
    console.print(table)
    columns: dict[str, list[bool | None]] = {
        "detected": [one.is_detected for one in board.scores],
        "kind right": [one.is_kind_right for one in board.scores],
        "factor right": [one.is_factor_right for one in board.scores],
        "class right": [one.is_mechanism_right for one in board.scores],
    }
    told = ", ".join(f"{name} {count_right(answers)}" for name, answers in columns.items())
    console.print(told, highlight=False)
    clean = f"{board.false_alarms}/{board.clean_attempts}"
    console.print(f"false alarms on the clean control: {clean}", highlight=False)


def _show(right: bool | None, text: str) -> str:
    if right is None:
        return "-"
    return text if right else f"{text} (wrong)"

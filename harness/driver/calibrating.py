"""One known fault through the ordinary pipeline: is it seen, as what, what does it follow?"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.core.amplifiers import AMPLIFY_AXIS
from harness.core.errors import HarnessError
from harness.core.kinds import Kind
from harness.core.records import AttemptRow
from harness.core.statuses import VALID, AttemptStatus
from harness.diagnosis.scoreboard import Score
from harness.diagnosis.truth import Truth
from harness.driver.commands.diagnose import choose_failing
from harness.driver.examining import count_failures, examine
from harness.driver.experiments import Laboratory, Measured, UntilFailure
from harness.driver.options import RunOptions
from harness.driver.spelling import spell_suite

#: Attempts of `--quick` per fault at most.
QUICK_ATTEMPTS = 16

#: Attempts per cell of a whole calibration: at first, and again if nothing was found to follow.
FEW, MORE = 6, 14

#: Attempts of a fault that hangs cost its whole time limit.
FEW_HANGING, MORE_HANGING = 5, 8

#: If nothing was found to follow, and no cell fails this often, amplifiers are tried.
RARE = 0.5

#: The amplifiers of memory are tried on what is rare: what suits is not known beforehand.
AMPLIFIERS = ("poison", "canary")


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is asked for."""

    quick: bool
    only: tuple[str, ...] = ()
    json: Path | None = None
    device: str = "auto"
    slots: int | None = None
    tp: int = 1
    per_gpu: int = 1


def score_fault(truth: Truth, laboratory: Laboratory, wanted: Calibration) -> Score:
    """Run one fault, and say what was found. An error of the run becomes the score's."""
    began = time.monotonic()
    why_not = explain_absence(truth, laboratory, wanted)
    if why_not:
        return Score(truth, {}, 0, 0, not_shown=why_not)
    found = [Score(truth, {}, 0, 0)]
    try:
        found.extend(_try_fault(truth, laboratory, wanted))
    except (HarnessError, OSError, ValueError) as error:
        found.append(replace(found[-1], error=f"{type(error).__name__}: {error}"))
    return replace(found[-1], seconds=time.monotonic() - began)


def explain_absence(truth: Truth, laboratory: Laboratory, wanted: Calibration) -> str:
    """Return why a fault cannot be shown on this machine; empty if it can."""
    needed = max(int(value) for value in truth.axes.get("tp", (str(wanted.tp),)))
    largest = laboratory.pool.largest_gang()
    if needed > largest:
        return f"it needs {needed} devices for one attempt, and there are {largest}"
    if truth.factor == "device" and wanted.tp > 1:
        return "attempts that take several devices cannot tell which of them is bad"
    return ""


def _try_fault(truth: Truth, laboratory: Laboratory, wanted: Calibration) -> Iterator[Score]:
    """Yield the score again and again, each time with more in it."""
    measured, amplified = _measure(truth, laboratory, wanted)
    score = make_score(truth, measured, amplified)
    yield score
    if wanted.quick:
        return
    attribution = measured[-1].report.attribution
    score = replace(score, factors=attribution.named if attribution else ())
    yield score
    yield _add_mechanism(score, measured[-1], laboratory)


def _measure(
    truth: Truth, laboratory: Laboratory, wanted: Calibration
) -> tuple[list[Measured], str]:
    """Return the runs that were made, the last one being the telling one, and what amplified it."""
    measured: list[Measured] = []
    for repeats in list_stages(truth, wanted):
        measured.append(_run(truth, laboratory, wanted, repeats))
        if has_answer(measured[-1], wanted):
            return measured, ""
    if compute_highest_rate(measured[-1].rows) >= RARE:
        return measured, ""
    return _amplify(truth, laboratory, wanted, measured)


def _amplify(
    truth: Truth, laboratory: Laboratory, wanted: Calibration, plain: list[Measured]
) -> tuple[list[Measured], str]:
    """Try what fails seldom under the amplifiers of memory, until one gives an answer."""
    for name in AMPLIFIERS:
        one = _run(truth, laboratory, wanted, list_stages(truth, wanted)[-1], name)
        if has_answer(one, wanted):
            return [*plain, one], name
        plain = [one, *plain]
    return plain, ""


def list_stages(truth: Truth, wanted: Calibration) -> tuple[int, ...]:
    """Return how many attempts of each cell are made at first, and then if nothing was found."""
    hangs = truth.kind == Kind.HANG
    if wanted.quick:
        return (FEW_HANGING if hangs else QUICK_ATTEMPTS,)
    return (FEW_HANGING, MORE_HANGING) if hangs else (FEW, MORE)


def has_answer(measured: Measured, wanted: Calibration) -> bool:
    """Return whether a run needs no second one."""
    if wanted.quick:
        return any(row.status is AttemptStatus.FAILED for row in measured.rows)
    attribution = measured.report.attribution
    return bool(attribution and attribution.named)


def compute_highest_rate(rows: Sequence[AttemptRow]) -> float:
    """Return the failure rate of the cell that fails most."""
    tallies = [
        count_failures([row for row in rows if row.cell == cell])[0]
        for cell in {row.cell for row in rows}
    ]
    return max((one.failed / max(one.valid, 1) for one in tallies), default=0.0)


def _run(
    truth: Truth, laboratory: Laboratory, wanted: Calibration, repeats: int, amplifier: str = ""
) -> Measured:
    options = make_options(truth, wanted, repeats, amplifier)
    marked = truth.options.get("marks_device")
    if marked:
        last = laboratory.pool.members[-1].device.id
        options = replace(options, env=(*options.env, f"{marked}={last}"))
    return laboratory.run(options, UntilFailure() if wanted.quick else None, truth.fault)


def make_options(
    truth: Truth, wanted: Calibration, repeats: int, amplifier: str = ""
) -> RunOptions:
    """Return the run that shows a fault: the failing cell alone if quick, else all its cells."""
    axes = {"order": ("ascending",), "tp": (str(wanted.tp),), **truth.axes}
    axes = {name: values[:1] if wanted.quick else values for name, values in axes.items()}
    if amplifier:
        axes[AMPLIFY_AXIS] = (amplifier,)
    return RunOptions(
        suites=(spell_suite(truth.suite),),
        repeats=repeats,
        device=wanted.device,
        slots=wanted.slots,
        per_gpu=wanted.per_gpu,
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


def _add_mechanism(score: Score, measured: Measured, laboratory: Laboratory) -> Score:
    """Diagnose the cell in which most attempts failed."""
    run = measured.report.run
    failing = choose_failing(measured.options, run.device, measured.rows)
    if failing is None:
        return score
    outcome = examine(failing, laboratory, f"{score.truth.fault}, diagnosis")
    told = outcome.diagnosis
    return replace(
        score,
        attempts=score.attempts + sum(trial.tally.valid for trial in outcome.own_trials),
        mechanism=told.named,
        fitting=told.fitting,
        amplified=score.amplified or outcome.amplified,
        runs=(*score.runs, outcome.run_id),
    )


def make_score(truth: Truth, measured: Sequence[Measured], amplified: str = "") -> Score:
    """Return what the runs of a fault found; its kinds are those of the last one."""
    rows = [row for one in measured for row in one.rows if row.status in VALID]
    _, kinds = count_failures(measured[-1].rows)
    runs = tuple(one.run_id for one in measured)
    first = _count_to_failure(rows)
    return Score(truth, kinds, len(rows), first, amplified=amplified, runs=runs)


def _count_to_failure(rows: Sequence[AttemptRow]) -> int:
    for count, row in enumerate(rows, start=1):
        if row.status is AttemptStatus.FAILED:
            return count
    return 0

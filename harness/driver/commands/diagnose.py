"""`harness diagnose`: a failing cell again, with one thing changed at a time."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness.core.cell import parse_cell_key
from harness.core.errors import UsageError
from harness.core.exits import ExitCode
from harness.core.plan import Plan
from harness.core.records import AttemptRow
from harness.core.statuses import VALID, AttemptStatus
from harness.diagnosis.arms import Finding, Tally, judge_arm
from harness.diagnosis.mechanisms import name_mechanism
from harness.driver.diagnosis_lines import print_outcome
from harness.driver.experiments import Experiment, Laboratory, open_laboratory
from harness.driver.options import RunOptions, read_options
from harness.driver.queue import QueuedAttempt
from harness.driver.state import locate_store
from harness.driver.trials import UNCHANGED, FailingCell, Outcome, Trial, plan_trials
from harness.store.open import open_store

#: Attempts of the unchanged cell and of each arm: so many a round, and so many rounds at most.
PER_ROUND, ROUNDS = 3, 6


def diagnose(run: str, test: str | None, path: Path | None, location: str | None) -> int:
    """Explain a run's failing cell by experiments. Return the exit code.

    0: one class was named; 3: none fits, or the unchanged cell never failed again.
    """
    failing = find_failing(run, test, location)
    options = replace(failing.options, suites=(failing.suite,))
    with open_laboratory(options, location) as laboratory:
        outcome = examine(failing, laboratory)
    if path is not None:
        path.write_text(json.dumps(outcome.as_dict(), indent=1) + "\n", encoding="utf-8")
    print_outcome(Console(), outcome)
    base = outcome.trials[0]
    named = outcome.diagnosis.named and base.tally.failed
    return ExitCode.OK if named else ExitCode.UNDECIDED


def find_failing(run: str, test: str | None, location: str | None) -> FailingCell:
    """Return the cell of a stored run in which most attempts failed. Raise UsageError if none."""
    store = open_store(location or locate_store(of_revisions=False), write=False)
    try:
        record = store.run(run)
        rows = [row for row in store.attempts(record.id) if row.status is AttemptStatus.FAILED]
    finally:
        store.close()
    rows = [row for row in rows if test is None or test in (row.failed_test or row.suite)]
    if not rows:
        raise UsageError(f"run {record.id} has no failed attempt{f' of {test}' if test else ''}")
    return choose_failing(read_options(record.options), record.device, rows)


def choose_failing(options: RunOptions, device: str, rows: Sequence[AttemptRow]) -> FailingCell:
    """Return the cell that most of these failed attempts are of."""
    places = [(row.suite, row.cell) for row in rows]
    suite, key = max(dict.fromkeys(places), key=places.count)
    kinds = [str(row.kind) for row in rows if (row.suite, row.cell) == (suite, key)]
    options = replace(options, until=None, max_flake_rate=None, warmup=0)
    return FailingCell(
        suite, parse_cell_key(key), max(set(kinds), key=kinds.count), options, device
    )


def examine(failing: FailingCell, laboratory: Laboratory) -> Outcome:
    """Make the unchanged cell and every arm that can be made, until each is judged."""
    trials = plan_trials(failing)
    cells = tuple(one.planned for one in trials if one.planned)
    seed = failing.options.seed or 0
    plan = Plan(cells, PER_ROUND * ROUNDS, seed, False, False)
    options = replace(failing.options, suites=(failing.suite,), repeats=PER_ROUND * ROUNDS)
    with laboratory.begin(options, plan) as experiment:
        for number in range(ROUNDS):
            _make_round(experiment, trials, number)
            _judge(trials, experiment)
            if number and _is_over(trials):
                break
        run_id = experiment.measure().run_id
        trials.append(_compare_devices(experiment.measure().rows, trials[0]))
    findings = {one.name: one.finding for one in trials[1:]}
    told = name_mechanism(findings, failing.kind)
    return Outcome(run_id, failing, tuple(trials), told)


def _make_round(experiment: Experiment, trials: Sequence[Trial], number: int) -> None:
    """Make the next attempts of what is undecided, and of the unchanged cell."""
    first = number * PER_ROUND
    repeats = range(first, first + PER_ROUND)
    wanted = {one.planned: one for one in trials if one.planned and _is_open(one)}
    together: list[QueuedAttempt] = []
    alone: list[QueuedAttempt] = []
    for queued in experiment.queue:
        planned = queued.planned
        trial = next((t for p, t in wanted.items() if p and p.cell == planned.cell), None)
        if trial is not None and planned.repeat in repeats:
            (alone if trial.runs_alone else together).append(queued)
    experiment.work_off(together)
    for queued in alone:
        experiment.work_off([queued])


def _is_open(trial: Trial) -> bool:
    return trial.name == UNCHANGED or trial.finding in (Finding.NOT_DONE, Finding.UNDECIDED)


def _is_over(trials: Sequence[Trial]) -> bool:
    base = trials[0].tally
    if base.valid >= 4 * PER_ROUND and not base.failed:
        return True
    return not any(_is_open(one) for one in trials[1:] if one.planned)


def _judge(trials: Sequence[Trial], experiment: Experiment) -> None:
    rows = [row for row in experiment.measure().rows if row.status in VALID]
    for trial in trials:
        if trial.planned is None:
            continue
        own = [row for row in rows if row.cell == trial.planned.cell.key]
        trial.tally, trial.kinds = _count(own)
    for trial in trials[1:]:
        if trial.planned is not None:
            trial.finding = judge_arm(trials[0].tally, trial.tally)


def _count(rows: Sequence[AttemptRow]) -> tuple[Tally, dict[str, int]]:
    kinds = [str(row.kind) for row in rows if row.status is AttemptStatus.FAILED]
    return Tally(len(kinds), len(rows)), {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def _compare_devices(rows: Sequence[AttemptRow], base: Trial) -> Trial:
    """Return the arm that needs no attempts of its own: the worst device beside the others.

    All arms' attempts count, as a device is one whatever else was changed.
    """
    valid = [row for row in rows if row.status in VALID]
    devices = sorted({device for row in valid for device in row.devices})
    trial = Trial("device", "on the other devices", base.planned)
    if len(devices) < 2 or any(len(row.devices) > 1 for row in valid):
        trial.planned, trial.why_not = None, "attempts of one device each, on two, are needed"
        return trial
    tallies = {
        device: _count([row for row in valid if device in row.devices])[0] for device in devices
    }
    worst = max(devices, key=lambda device: tallies[device].failed / max(tallies[device].valid, 1))
    others = [row for row in valid if worst not in row.devices]
    trial.tally, trial.kinds = _count(others)
    trial.finding = judge_arm(tallies[worst], trial.tally)
    # A fault of the code fails on every device at times: only never counts as passing.
    if trial.finding is Finding.PASSES and trial.tally.failed:
        trial.finding = Finding.FAILS
    return trial
